"""`./viv bench`: what things cost, in instructions counted by the emulator, the same on every machine.

Under -icount shift=0 QEMU's cycle counter counts instructions; Bochs' always does. String instructions are slow under
TCG (each step counts), so the CPU is given without the fast ones: figures are about paths, not about clearing pages.
"""
import argparse
import itertools
import os
import re
import subprocess
import tempfile

from . import build, cpio, debs, exec as run, say, setup

# Linux 6.1 in the same emulators and with the same CPU, mitigations and init_on_alloc off, for comparison: (svm, vmx).
LINUX = {
    "null system call (getppid)": (337, None),
    "page fault, anonymous memory": (1500, None),
    "page fault, copy on write": (7500, None),
    "pipe round trip (two switches)": (11362, None),
    "fork, exit, wait": (148000, None),
    "fork, exec, wait": (503000, None),
    "CPUID exit, handled in the kernel": (2361, 961),
    "stat": (2964, None),
    "open, close": (5481, None),
    "read 4 KiB": (2240, None),
    "create, unlink": (16200, None),
    "port I/O exit to user space and back": (2822, 3203),
    "MMIO exit to user space and back": (4986, None),
    "nested page fault, first touch": (3244, None),
    "create a VM and a vCPU": (7670000, None),
    "container, start to end": (18000000, None), # crun run
    "Debian 6.1 to init, as a guest": (1530000000, None), # kvmtool's
    "Debian 6.1 to init: exits": (35000, None),
}
# (program, the kernel's command line, what its figures are called after)
RUNS = (("calls", "", ""), ("files", "", ""), ("exits", "", ""), ("container", "", ""), ("bt", "", ""),
        ("exits", "viv.root=guest", "in the root partition: "))


def figures(backend):
    """Yields (what, value) for one backend; programs that fail say so."""
    options = {"backend": backend, "limit": 300}
    if backend == "svm":
        options.update(icount=0, cpu="max,-erms,-fsrm")
    for name, cmdline, prefix in RUNS:
        result = run.run(["/bench/" + name], cmdline=cmdline, **options)
        if name == RUNS[0][0]:
            ran = re.search(r"\[ *(\d+)\.(\d+)\] viv: running", result.log)
            if ran:
                yield "boot: kernel's start to the first program", int(ran.group(1) + ran.group(2).ljust(9, "0"))
        for value, what in re.findall(r"^bench (\d+) (.*?)\r?$", result.text, re.M):
            yield prefix + what, int(value)
        if result.status != 0:
            reason = result.text.strip().splitlines()[-1:] or [result.reason]
            say.step("bench %s [%s]: status %s: %s" % (name, backend, result.status, reason[0]))


LINUX_INIT = b"""#!/bin/busybox sh
/bin/busybox dmesg | /bin/busybox grep 'Run /init'
/bin/busybox poweroff -f
"""


def linux_files(directory):
    """Debian's kernel, and an initramfs that says when the kernel came to it, and switches off."""
    archive = cpio.Archive()
    archive.host("bin/busybox", "/bin/busybox")
    archive.file("init", LINUX_INIT, 0o755)
    initrd = os.path.join(directory, "initrd")
    with open(initrd, "wb") as file:
        file.write(archive.bytes())
    return debs.linux("bookworm"), initrd


def time_of_init(text):
    """When the kernel started init, in nanoseconds of its own clock: instructions, under -icount shift=0."""
    found = re.search(r"\[ *(\d+)\.(\d+)\] Run /init as init process", text)
    return int(found.group(1) + found.group(2).ljust(9, "0")) if found else 0


def linux_figures():
    """Yields (what, value) for a boot of Linux: on QEMU's machine, and in vmm under Vivarium."""
    with tempfile.TemporaryDirectory() as directory:
        kernel, initrd = linux_files(directory)
        done = subprocess.run(
            ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max", "-icount", "shift=0,sleep=off",
             "-m", "192", "-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio", "-kernel", kernel,
             "-initrd", initrd, "-append", "console=ttyS0 8250.nr_uarts=1 panic=-1 pci=off quiet"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=300)
        yield "Debian 6.1 to init, on the machine itself", time_of_init(done.stdout)
        guest = run.run(["vmm", "--mem", "192", "--stats", "--kernel", "/bzImage", "--initrd", "/initrd",
                         "--append", "quiet"], [(kernel, "/bzImage"), (initrd, "/initrd")],
                        backend="svm", icount=0, limit=300)
        yield "Debian 6.1 to init, as a guest", time_of_init(guest.text)
        exits = re.search(r"(\d+) exits\r?\n", guest.text)
        yield "Debian 6.1 to init: exits", int(exits.group(1)) if exits else 0


def main(argv):
    parser = argparse.ArgumentParser(prog="viv bench", description="Prints what things cost in instructions.")
    parser.add_argument("--backend", choices=["svm", "vmx", "both"], default="svm")
    options = parser.parse_args(argv)
    setup.ensure(bochs=options.backend != "svm")
    build.make("kernel", "root", quiet=True)
    for backend in ("svm", "vmx") if options.backend == "both" else (options.backend,):
        print("%-46s %14s %14s" % ("instructions [%s]" % backend, "Vivarium", "Linux 6.1"))
        for what, value in itertools.chain(figures(backend), linux_figures() if backend == "svm" else ()):
            linux = LINUX.get(what, (None, None))[backend == "vmx"]
            print("%-46s %14s %14s" % (what, format(value, ","), format(linux, ",") if linux else ""), flush=True)
    return 0
