"""Debian's unmodified kernels as guests of vmm."""
import os
import re

from viv import cpio, debs
from viv import exec as run
from viv.testlib import BOTH, test

PROMPT = r"linux:\S* # "
INIT = b"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /dev
/bin/busybox --install -s /bin
export PATH=/bin PS1='linux:\\w # '
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec setsid cttyhack sh
"""


def initramfs(directory):
    """A RAM disk for Linux: Debian's busybox, and an init that becomes a shell."""
    archive = cpio.Archive()
    archive.host("bin/busybox", "/bin/busybox")
    archive.file("init", INIT, 0o755)
    path = os.path.join(directory, "initramfs.cpio")
    with open(path, "wb") as file:
        file.write(archive.bytes())
    return path


def machine_with(t, files, **options):
    """A machine at its prompt, with the host's files in /."""
    extra = run.overlay(t.directory(), None, [(host, "/" + name) for name, host in files.items()], stdin=None)
    m = t.machine(overlays=[extra], **options)
    m.expect(t.PROMPT)
    return m


def linux_to_its_shell_and_off(t, suite, release):
    m = machine_with(t, {"bzImage": debs.linux(suite), "initrd": initramfs(t.directory())}, limit=200)
    m.send("vmm --mem 192 --stats --kernel /bzImage --initrd /initrd --append quiet\n")
    m.expect(PROMPT)
    t.true(m.command("uname -r", PROMPT).startswith(release), "a kernel %s" % release)
    t.contains(m.command("cat /proc/cmdline", PROMPT), "console=ttyS0")
    before, after = [float(m.command(text + "cut -d' ' -f1 /proc/uptime", PROMPT)) for text in ("", "sleep 1; ")]
    t.between(after - before, 1, 5, "seconds that sleep 1 and reading the clock took")
    interrupts = m.command("cat /proc/interrupts", PROMPT)
    t.true(int(t.matches(interrupts, r"^ *LOC: +(\d+) ").group(1)) > 100, "more than 100 timer interrupts")
    t.true(int(t.matches(interrupts, r"^ *4: +(\d+) .*ttyS0").group(1)) > 10, "more than 10 serial interrupts")
    m.send("poweroff -f\n")
    m.expect(t.PROMPT)
    t.contains(m.command("echo status $?", t.PROMPT), "status 0")
    text = bytes(m.console.data).decode(errors="replace")
    t.true(not re.search("Call Trace|unchecked MSR|BUG:", text), "no complaint of the guest")
    t.contains(text, "exits: port I/O")


@test(backends=BOTH)
def linux_6_1_boots_to_a_shell_and_switches_off(t):
    linux_to_its_shell_and_off(t, "bookworm", "6.1.")


@test(backends=BOTH)
def linux_6_12_boots_to_a_shell_and_switches_off(t):
    linux_to_its_shell_and_off(t, "trixie", "6.12.")


@test(backends=BOTH)
def linux_starts_in_real_mode_and_in_32_bit_mode(t):
    m = machine_with(t, {"bzImage": debs.linux("bookworm")})
    for bits in ("16", "32"):
        m.send("vmm --mem 192 --append words=%s --start %s --kernel /bzImage\n" % (bits, bits))
        m.expect(r"Command line: console=ttyS0 [^\n]* words=%s\s" % bits)
        m.send("\x01x")
        m.expect(t.PROMPT)


@test(backends=BOTH)
def memtest86_tests_a_guests_memory(t):
    m = machine_with(t, {"memtest": debs.memtest()})
    m.send("vmm --mem 8 --kernel /memtest\n")
    m.expect(r"\x1b\[2J")
    m.send("\r")  # it would wait for settings
    m.expect(r"Memtest86\+ v\d")
    m.expect(r"#[1-9] +\[" if t.backend == "svm" else r"#0 +\[")  # on svm the first test has passed then
    m.send("\x1b")
    m.expect("the guest asked for a reset")
    m.expect(t.PROMPT)
    t.contains(bytes(m.console.data).decode(errors="replace"), "Errors: 0 ")
