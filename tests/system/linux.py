"""Programs that we did not write as guests of vmm: Debian's kernels, GRUB through SeaBIOS, memtest86+."""
import os
import re
import subprocess

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


def linux_to_its_shell_and_off(t, suite, release, cpus):
    m = machine_with(t, {"bzImage": debs.linux(suite), "initrd": initramfs(t.directory())}, limit=200)
    m.send("vmm --mem 192 --cpus %d --stats --kernel /bzImage --initrd /initrd --append quiet\n" % cpus)
    m.expect(PROMPT)
    t.equal(m.command("nproc", PROMPT), "%d\n" % cpus, "processors that Linux counts")
    t.true(m.command("uname -r", PROMPT).startswith(release), "a kernel %s" % release)
    t.contains(m.command("cat /proc/cmdline", PROMPT), "console=ttyS0")
    before, after = [float(m.command(text + "cut -d' ' -f1 /proc/uptime", PROMPT)) for text in ("", "sleep 1; ")]
    t.between(after - before, 1, 5, "seconds that sleep 1 and reading the clock took")
    interrupts = m.command("cat /proc/interrupts", PROMPT)
    for line, what in ((r"LOC", "timer"), (r"4", "serial")):
        counts = t.matches(interrupts, r"^ *%s:((?: +\d+)+) " % line).group(1).split()
        t.true(sum(map(int, counts)) > 10, "more than 10 %s interrupts" % what)
    m.send("poweroff -f\n")
    m.expect(t.PROMPT)
    t.contains(m.command("echo status $?", t.PROMPT), "status 0")
    text = bytes(m.console.data).decode(errors="replace")
    t.true(not re.search("Call Trace|unchecked MSR|BUG:", text), "no complaint of the guest")
    exits = t.matches(text, r"(\d+) exits: port I/O")
    t.true(int(exits.group(1)) < 5000, "fewer than 5000 exits to the monitor for port I/O, not " + exits.group(1))


@test(backends=BOTH)
def linux_6_1_boots_to_a_shell_and_switches_off(t):
    linux_to_its_shell_and_off(t, "bookworm", "6.1.", 1)


@test(backends=BOTH)
def linux_6_12_boots_to_a_shell_and_switches_off(t):
    linux_to_its_shell_and_off(t, "trixie", "6.12.", 2)


@test()
def linux_counts_four_processors(t):
    linux_to_its_shell_and_off(t, "bookworm", "6.1.", 4)


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


GRUB_CONFIG = """serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
echo GRUB has started
"""


def grub_disk(directory):
    """A disk image that starts GRUB: its boot sector, and behind it its core with the configuration above."""
    core, config, disk = [os.path.join(directory, name) for name in ("core.img", "grub.cfg", "disk.img")]
    with open(config, "w", encoding="utf-8") as file:
        file.write(GRUB_CONFIG)
    subprocess.run(["grub-mkimage", "-O", "i386-pc", "-p", "/boot", "-c", config, "-o", core, "biosdisk", "serial",
                    "terminal", "echo", "normal", "ls", "reboot"], check=True)
    with open(disk, "wb") as out:
        for part in ("/usr/lib/grub/i386-pc/boot.img", core):
            with open(part, "rb") as file:
                out.write(file.read())
        out.truncate(1 << 20)
    return disk


@test(backends=BOTH)
def seabios_starts_grub_from_a_disk(t):
    files = {"bios": "/usr/share/seabios/bios-256k.bin", "disk": grub_disk(t.directory())}
    m = machine_with(t, files)
    m.send("vmm --bios /bios --disk /disk\n")
    m.expect("GRUB has started")
    m.expect("grub> ")
    m.send("ls\r")
    m.expect(r"\(hd0\)")
    m.expect("grub> ")
    m.send("reboot\r")
    m.expect("the guest asked for a reset")
    m.expect(t.PROMPT)
