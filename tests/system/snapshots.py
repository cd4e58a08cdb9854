"""Virtual machines that outlive their monitor's computer: moved to another one, or kept in files."""
import re
import threading

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
