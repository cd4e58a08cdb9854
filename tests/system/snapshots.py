"""Virtual machines that outlive their monitor's computer: moved to another one, or kept in files."""
import os
import re
import threading

import _linuxguest as guest
from viv import exec as run
from viv import machine
from viv.testlib import test

ENDLESS = 1000000
GUEST = "vmm --control /tmp/c --append 'key=1 count=%d' /lib/guests/steady >/tmp/counts 2>&1 </dev/null &\n" % ENDLESS
MOVE = "until grep -q 'count 2' /tmp/counts; do usleep 1000; done; vmm migrate /tmp/c /dev/ttyS1; echo sent $?\n"
RECEIVE = "vmm receive /dev/ttyS1; echo received $?\n"


class Wire:
    """A serial line between the second ports of two computers; spoil(n) alters the nth byte from now on."""

    def __init__(self):
        pairs = [machine.connected_pair() for _ in range(2)]
        self.ends = [theirs for _, theirs in pairs]
        ours = [mine for mine, _ in pairs]
        self.good = 0
        for source, sink in (ours, reversed(ours)):
            threading.Thread(target=self.carry, args=(source, sink), daemon=True).start()

    def spoil(self, n):
        self.good = n

    def carry(self, source, sink):
        while True:
            try:
                data = bytearray(source.recv(65536))
                if not data:
                    return
                if 0 < self.good <= len(data):
                    data[self.good - 1] ^= 1
                self.good = max(self.good - len(data), 0)
                sink.sendall(data)
            except OSError:
                return


@test()
def a_vm_moves_over_a_serial_line_while_it_counts(t):
    wire = Wire()
    here, there = [t.machine(link=end) for end in wire.ends]
    for m in (here, there):
        m.expect(t.PROMPT)
    here.send(GUEST)
    here.expect(t.PROMPT)

    wire.spoil(20000)
    here.send(MOVE)
    there.send(RECEIVE)
    there.expect(r"\nvmm: /dev/ttyS1: record \d+ at 0x[0-9a-f]+: (crc|size|truncated)")
    there.expect(r"\nreceived 2\r?\n")
    here.expect(r"\nvmm: /dev/ttyS1: the re[^\n]*\s+sent 2\r?\n")

    here.send(MOVE)
    there.send(RECEIVE)
    moved = there.expect(r"received \$\?\r?\n").end()
    downtime = here.expect(r"migrated to /dev/ttyS1: downtime (\d+) us, [^\n]*\s+sent 0\r?\n").group(1)
    t.true(int(downtime) > 0, "a downtime")
    there.expect(r"count \d+\s+count \d+\s")
    there.send("q")
    there.expect(r"wrong 0\s+received 0\r?\n")
    here.expect(t.PROMPT)
    first = here.command("cat /tmp/counts; echo '|'", t.PROMPT).split("|")[0]  # it may end in half a line
    both = first + bytes(there.console.data[moved:]).decode()
    counts = [int(n) for n in re.findall(r"^count (\d+)\r?$", both, re.M)]
    t.equal(counts, list(range(1, len(counts) + 1)), "counts")


def bring_out(m, t, wire, path):
    """The files of a directory in the machine, through its second serial line, as the bytes of a tar archive."""
    m.command("stty raw -F /dev/ttyS1; tar cf /tmp/tar %s" % path, t.PROMPT)
    m.send("(wc -c; cat /tmp/tar) </tmp/tar >/dev/ttyS1\n")
    with wire.makefile("rb") as file:
        archive = file.read(int(file.readline()))
    m.expect(t.PROMPT)
    return archive


@test()
def a_saved_vm_goes_on_in_another_boot(t):
    wire, theirs = machine.connected_pair()
    m = t.machine(link=theirs)
    m.expect(t.PROMPT)
    m.send(GUEST)
    m.expect(t.PROMPT)
    m.send("until grep -q 'count 9' /tmp/counts; do usleep 1000; done; vmm save --stop /tmp/c /tmp/vm\n")
    m.expect("saved to /tmp/vm and stopped\\s+")
    m.expect(t.PROMPT)
    first = m.command("cat /tmp/counts; echo '|'", t.PROMPT).split("|")[0]
    path = os.path.join(t.directory(), "vm.tar")
    with open(path, "wb") as file:
        file.write(bring_out(m, t, wire, "/tmp/vm"))
    m.end()
    second = t.sh("tar xf /vm.tar -C / && echo q | vmm restore /tmp/vm", adds=[(path, "/vm.tar")], icount=None).text
    t.contains(second, "wrong 0")
    counts = [int(n) for n in re.findall(r"^count (\d+)\r?$", first + second, re.M)]
    t.equal(counts, list(range(1, len(counts) + 1)), "counts")
    t.true(len(counts) > 9, "counts after the restoration")


# Linux's shell is on the virtio console. The monitor is told to save it when the first sector of its disk says so.
LINUX = "vmm --mem 128 --cpus %d --control /tmp/c --disk /disk --rng --balloon 8 --console virtio " \
        "--kernel /bzImage --initrd /initrd --append 'quiet console=hvc0'\n"
SAVE = "truncate -s 1M /disk; " \
       "((until grep -q now /disk; do usleep 10000; done; vmm save --stop /tmp/c /tmp/vm >/dev/null 2>&1) &)\n"


@test()
def linux_goes_on_at_its_shell_after_save_and_restore(t):
    extra = run.overlay(t.directory(), None, guest.files(t, guest.CONSOLE), stdin=None)
    m = t.machine(overlays=[extra], mem=640, limit=300)
    m.expect(t.PROMPT)
    m.send(SAVE)
    m.expect(t.PROMPT)
    m.send(LINUX % 2)
    m.expect(guest.PROMPT)
    m.command("head -c 9999 /dev/hwrng >/kept", guest.PROMPT)
    m.command("sum=$(md5sum </kept)", guest.PROMPT)
    m.send("echo now >/dev/vda; sync; n=0; while :; do n=$((n + 1)); echo n $n; done\n")
    start = m.expect(r"n 1\r?\n").start()
    end = m.expect(t.PROMPT).start()
    m.send("vmm restore /tmp/vm\n")
    again = m.expect("/tmp/vm\r?\n").end()
    m.expect(r"n \d+\r?\nn \d+\r?\n")
    m.send("\x03")
    over = m.expect(r"(n \d*)?\^C\s+" + guest.PROMPT).start()
    text = bytes(m.console.data[start:end] + m.console.data[again:over]).decode()
    counts = [int(n) for n in re.findall(r"^n (\d+)\r?$", text, re.M)]
    t.equal(counts, list(range(1, len(counts) + 1)), "numbers that the shell's loop wrote")
    t.equal(m.command('[ "$sum" = "$(md5sum </kept)" ]; echo $?', guest.PROMPT), "0\n", "a file's checksum compared")
    t.equal(m.command("head -n 1 /dev/vda", guest.PROMPT), "now\n", "the disk's first line")
    t.equal(m.command("nproc", guest.PROMPT), "2\n", "processors")
    t.equal(m.command("head -c 100 /dev/hwrng | wc -c", guest.PROMPT), "100\n", "random bytes")
    before, after = [float(m.command(text + "cut -d' ' -f1 /proc/uptime", guest.PROMPT)) for text in ("", "sleep 1; ")]
    t.between(after - before, 1, 5, "seconds that sleep 1 and reading the clock took")
    t.equal(m.command("dmesg | grep -cE 'Call Trace|BUG:|soft lockup'", guest.PROMPT), "0\n", "complaints of Linux")
    m.send("poweroff -f\n")
    m.expect(t.PROMPT)
