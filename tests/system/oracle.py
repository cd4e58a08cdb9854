"""The oracle: one program of /dev/kvm under Linux's KVM and under Vivarium says the same."""
import glob
import hashlib
import os
import re
import subprocess

from viv import cpio, debs, paths
from viv.testlib import test

MODULES = "irqbypass kvm kvm-amd".split()
INIT = b"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /dev /tmp
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for m in %s; do insmod /modules/$m.ko; done
stty -F /dev/ttyS0 -onlcr
echo @begin
/oracle 2>&1
echo @end
poweroff -f
""" % " ".join(MODULES).encode()

# Differences that are not the API's: (scenarios, a line of Linux 6.1's kvm-amd, the same line of Vivarium, the reason).
ALLOWED = [(re.compile(names), re.compile(theirs), re.compile(ours), reason) for names, theirs, ours, reason in [
    ("vcpu_creation_and_order", r"ioctl.*KVM_CREATE_PIT2, &pit\): 0", r"ioctl.*: -1 errno 2$",
     "6.1 makes an 8254 that has no 8259 to interrupt; later kernels refuse it with ENOENT too"),
    ("", r"(cs \w+ .*type a|ss \w+ .*type 2|tr 0 .*type 3) s", r"(cs \w+ .*type b|ss \w+ .*type 3|tr 0 .*type b) s",
     "kvm-amd resets code and stack segments not accessed and TR to a 16-bit TSS; kvm-intel resets as Vivarium does"),
    ("fault_(clgi|stgi)", r"no fault", r"vector 6 ",
     "kvm-amd does not intercept them where there is a virtual GIF, and the emulator does not ask for EFER.SVME"),
    ("fault_cr0_reserved", r"vector 13 ", r"no fault",
     "kvm-amd emulates MOV to CR0; the emulator's own does not fault at PG without PE"),
    ("fault_(vmxon|xsetbv_bad)", r"vector 6 stack 800\d 8 100[04][26]$", r"vector 6 stack 800\d 8 [04]?[26]$",
     "kvm-amd intercepts every #UD and injects it; the emulator's own #UD pushes flags without RF"),
    ("illegal_vectors", r"exit 2 .*port 0x12 .*data 00 00 00 00", r"exit 2 .*port 0x12 .*data [26]0 00 00 00",
     "KVM's ESR has no errors; SDM 3A, 11.5.3: a vector below 16 is one"),
    ("nmis", r"(.*nmi \d pending) 1 ", r"(.*nmi \d pending) [12] ",
     "6.1 says whether an NMI is pending, later kernels how many are"),
]]


def build(directory):
    """The oracle, linked statically by the host's compiler."""
    path = os.path.join(directory, "oracle")
    subprocess.run(["gcc", "-static", "-O2", "-std=gnu17", "-I" + paths.ROOT, "-o", path,
                    os.path.join(paths.ROOT, "tests/oracle/oracle.c")], check=True)
    return path


def said_by_linux(t, program):
    """What it prints under Debian's kernel; kept in build/ by the program's and the kernel's hash."""
    kernel = debs.linux("bookworm")
    digest = hashlib.sha256(INIT)
    for name in (program, kernel):
        with open(name, "rb") as file:
            digest.update(file.read())
    kept = paths.TREE.built("oracle-%s.txt" % digest.hexdigest()[:16])
    if os.path.exists(kept):
        with open(kept, encoding="utf-8") as file:
            return file.read()
    tree = os.path.join(os.path.dirname(kernel), "../lib/modules/*/kernel")
    archive = cpio.Archive()
    archive.host("bin/busybox", "/bin/busybox")
    archive.host("oracle", program)
    archive.file("init", INIT, 0o755)
    for name in MODULES:
        archive.host("modules/%s.ko" % name, glob.glob("%s/**/%s.ko" % (tree, name), recursive=True)[0])
    initrd = os.path.join(t.directory(), "initrd")
    with open(initrd, "wb") as file:
        file.write(archive.bytes())
    done = subprocess.run(
        ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max", "-m", "512", "-display", "none",
         "-nodefaults", "-no-reboot", "-serial", "stdio", "-kernel", kernel, "-initrd", initrd, "-append",
         "console=ttyS0 quiet mitigations=off nokaslr panic=-1"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=400)
    found = re.search(r"@begin\n(.*)@end\n", done.stdout.replace("\r\n", "\n"), re.S)
    t.true(found, "the oracle to end under Linux; it said:\n" + done.stdout[-2000:])
    with open(kept + ".new", "w", encoding="utf-8") as file:
        file.write(found.group(1))
    os.rename(kept + ".new", kept)
    return found.group(1)


def scenarios(text):
    """The lines of each scenario, by its name: test.h prints the name behind them."""
    result, lines = {}, []
    for line in text.replace("\r\n", "\n").splitlines():
        found = re.match(r"(?:ok  |skip|FAIL) (\w+)$", line)
        if found:
            result[found.group(1)] = lines + [line]
            lines = []
        else:
            lines.append(line)
    return result


def allowed(name, linux, here):
    return any(names.match(name) and theirs.match(linux.strip()) and ours.match(here.strip())
               for names, theirs, ours, _ in ALLOWED)


def difference(name, theirs, ours):
    """The first line of a scenario in which ours differ and that is not allowed, or None."""
    for number in range(max(len(theirs), len(ours))):
        linux, here = [lines[number] if number < len(lines) else "(nothing)" for lines in (theirs, ours)]
        if linux != here and not allowed(name, linux, here):
            return "%s, line %d:\n    Linux:    %s\n    Vivarium: %s" % (name, number + 1, linux, here)
    return None


@test()
def linux_and_vivarium_give_a_monitor_the_same(t):
    program = build(t.directory())
    linux = scenarios(said_by_linux(t, program))
    ours = scenarios(t.exec(["/oracle"], adds=[(program, "/oracle")], mem=512).text)
    t.true(len(linux) > 20, "more than 20 scenarios under Linux")
    found = [difference(name, lines, ours.get(name, [])) for name, lines in linux.items()]
    found = [text for text in found if text]
    t.true(not found, "no difference in %d scenarios, found in %d:\n%s" % (len(linux), len(found), "\n".join(found)))
