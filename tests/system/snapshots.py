"""Virtual machines that outlive their monitor's computer: moved to another one, or kept in files."""
import io
import os
import re
import struct
import tarfile
import threading
import zlib

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
    there.expect(t.PROMPT)  # what is typed before it is seen twice
    here.expect(r"\nvmm: /dev/ttyS1: the re[^\n]*\s+sent 2\r?\n")
    here.expect(t.PROMPT)

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


HEADER, RECORD = 96, struct.Struct("<IIQII")  # user/vmm/stream.h: kind, size, where, raw, crc

# By owner and number (user/vmm/state.c), what is said of a section that is all ones. What takes any value is not here.
REFUSED = {
    (0, 0): "pic-master: chip_id", (0, 1): "pic-slave: chip_id", (0, 2): "ioapic: chip_id",
    (1, 0): "com1: fifo_count is out of range", (1, 1): "com2: fifo_count", (1, 2): "cmos: index",
    (1, 5): "shutdown-port: matched", (1, 6): "typed: count", (3, 0): "slot 1: id", (3, 6): "bridge: pci.writable",
    (2, 0): "cpuid: nent", (2, 1): "sregs: refused", (2, 4): "xsave: refused", (2, 5): "xcrs: refused",
    (2, 7): "msrs: nmsrs", (2, 9): "mp-state: refused", (2, 10): "events: refused",
}
HEADERS = [(8, b"\x09", "version 9, not 2"), (24, b"\x01", "ram_size 0x"), (32, b"\0", "vcpus 0 is not"),
           (36, b"\1\1", "tsc_khz"), (40, b"GenuineTcg__", "vendor GenuineTcg__: this processor is of"),
           (52, b"\x77", "signature 0x")]


def split(state):
    """The sections of a snapshot's file `machine`, as (where, the whole record)."""
    sections, at = [], HEADER
    while at < len(state):
        _, size, where, _, _ = RECORD.unpack_from(state, at)
        sections.append((where, state[at:at + RECORD.size + size]))
        at += RECORD.size + size
    return sections


def filled(record):
    """The record with data of ones, and the right checksum."""
    head, data = record[:RECORD.size - 4], b"\xff" * (len(record) - RECORD.size)
    return head + struct.pack("<I", zlib.crc32(head + data)) + data


def altered(memory, state):
    """Snapshots with right checksums that cannot be: (file `memory`, file `machine`, what must be said)."""
    for at, value, said in HEADERS:
        header = memory[:at] + value + memory[at + len(value):HEADER - 4]
        yield header + struct.pack("<I", zlib.crc32(header)) + memory[HEADER:], state, "memory: header: " + said
    head, sections = state[:HEADER], split(state)
    records = [record for _, record in sections]
    for i, (where, record) in enumerate(sections):
        said = REFUSED.get((where >> 16 & 0xffff, where & 0xffff))
        if said and len(record) > RECORD.size:
            yield memory, head + b"".join(records[:i] + [filled(record)] + records[i + 1:]), said
    yield memory, head + b"".join(records[1:]), "section 0x1, not 0x0"
    yield memory, head + b"".join(records[:-2] + records[-1:]), "end: "


def refusals(directory, archive):
    """A tar archive of altered snapshots, and what vmm must say of each of them."""
    path, wanted = os.path.join(directory, "bad.tar"), []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        memory, state = [tar.extractfile("tmp/vm/" + name).read() for name in ("memory", "machine")]
    with tarfile.open(path, "w") as tar:
        for number, (bad_memory, bad_machine, said) in enumerate(altered(memory, state)):
            wanted.append(said)
            for name, data in (("memory", bad_memory), ("machine", bad_machine)):
                entry = tarfile.TarInfo("bad/%d/%s" % (number, name))
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return path, wanted


BOOT_AGAIN = """
cd / && tar xf /vm.tar && tar xf /bad.tar
echo q | vmm restore /tmp/vm
for n in $(seq 0 %d); do
    said=$(echo q | vmm restore /bad/$n 2>&1)
    echo "== $said $?"
done"""


@test()
def a_saved_vm_goes_on_in_another_boot_unless_it_was_altered(t):
    wire, theirs = machine.connected_pair()
    m = t.machine(link=theirs)
    m.expect(t.PROMPT)
    m.send("truncate -s 4K /disk\n")
    m.send(GUEST.replace("--control", "--disk /disk --control"))
    m.send("until grep -q 'count 9' /tmp/counts; do usleep 1000; done; vmm save --stop /tmp/c /tmp/vm; echo saved $?\n")
    m.expect(r"\nsaved 0\s+")
    m.expect(t.PROMPT)
    first = m.command("cat /tmp/counts; echo '|'", t.PROMPT).split("|")[0]
    archive = bring_out(m, t, wire, "/tmp/vm /disk")
    m.end()
    path = os.path.join(t.directory(), "vm.tar")
    with open(path, "wb") as file:
        file.write(archive)
    bad, wanted = refusals(t.directory(), archive)
    adds = [(path, "/vm.tar"), (bad, "/bad.tar")]
    second, *refused = t.sh(BOOT_AGAIN % (len(wanted) - 1), adds=adds, icount=None).text.split("== ")
    t.contains(second, "wrong 0")
    counts = [int(n) for n in re.findall(r"^count (\d+)\r?$", first + second, re.M)]
    t.equal(counts, list(range(1, len(counts) + 1)), "counts")
    t.equal(len(refused), len(wanted), "altered snapshots tried")
    other = t.sh("tar xf /vm.tar -C / && vmm restore /tmp/vm", adds=adds[:1], icount=None, cpu="max,-smap").text
    t.contains(other, "cpuid: leaf 0x7.0: ebx: this machine lacks 0x100000")
    for said, expected in zip(refused, wanted):
        t.contains(said, expected)
        t.true(said.endswith(" 2\n"), "status 2 behind " + said)


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
    m.send("n=0; while :; do n=$((n + 1)); echo n $n; [ $n = 9 ] && echo now >/dev/vda && sync; done\n")
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
