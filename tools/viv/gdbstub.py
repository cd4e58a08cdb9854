"""A client of GDB's remote protocol: stops a machine, reads its registers and its memory, virtual or physical.

This is how tests look at the truth: page tables, counters, control blocks are read from outside, whatever the kernel
says about itself.
"""
import socket
import struct
import time

REGISTERS = ("rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip").split()
CONTROL = ("fs_base gs_base k_gs_base cr0 cr2 cr3 cr4 cr8 efer").split()
# In QEMU's x86-64 layout these follow: eflags and six selectors (4 bytes each), then the control registers (8 each).
FLAGS_AT = 17 * 8
CONTROL_AT = FLAGS_AT + 7 * 4


class GdbStub:
    """One connection to QEMU's stub at a unix socket. The machine is stopped while connected, until resume()."""

    def __init__(self, path, timeout=60):
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.sock.settimeout(timeout)
        self.buffer = b""
        self.stopped = True
        self._ask("qSupported")
        self._ask("qXfer:features:read:target.xml:0,ffb")  # QEMU sets single registers only for who has asked this

    def close(self):
        """Lets the machine run on without us."""
        try:
            self._send("D")
            self._receive()
        except OSError:
            pass
        self.sock.close()

    # -- packets -----------------------------------------------------------------------------------
    def _byte(self):
        if not self.buffer:
            self.buffer = self.sock.recv(65536)
            if not self.buffer:
                raise EOFError("the machine has ended")
        first, self.buffer = self.buffer[:1], self.buffer[1:]
        return first

    def _send(self, text):
        data = text.encode()
        self.sock.sendall(b"$" + data + b"#%02x" % (sum(data) & 255))

    def _receive(self):
        while self._byte() != b"$":
            pass
        data = bytearray()
        while True:
            byte = self._byte()
            if byte == b"#":
                break
            data += byte
        self._byte(), self._byte()
        self.sock.sendall(b"+")
        return _unescape(bytes(data))

    def _ask(self, text):
        """Sends a request and returns its answer; the stop that the connection itself causes is no answer."""
        self._send(text)
        answer = self._receive()
        while answer[:1] == b"T":
            answer = self._receive()
        if answer[:1] == b"E" and len(answer) == 3:
            raise ValueError("the debug stub refused %r: %s" % (text, answer.decode()))
        return answer

    def _do(self, text):
        answer = self._ask(text)
        if answer != b"OK":
            raise ValueError("the debug stub did not do %r: %r" % (text, answer))

    # -- the machine ---------------------------------------------------------------------------------
    def stop(self):
        """Stops all CPUs."""
        if not self.stopped:
            self.sock.sendall(b"\x03")
            self._receive()
            self.stopped = True

    def resume(self):
        """Lets all CPUs run on."""
        if self.stopped:
            self._send("c")
            self.stopped = False

    def wait_stop(self):
        """Waits, after resume(), for a breakpoint to hit."""
        self._receive()
        self.stopped = True

    def step(self):
        self._send("s")
        self._receive()

    def breakpoint(self, address, on=True):
        """Sets or clears a hardware breakpoint at a virtual address."""
        self._do("%s1,%x,1" % ("Z" if on else "z", address))

    def cpu(self, number):
        """Looks at CPU `number` (from 0) from now on."""
        self._do("Hg%x" % (number + 1))

    def registers(self):
        """The CPU's registers by GDB's name; cr3 and the other control registers with them."""
        raw = bytes.fromhex(self._ask("g").decode().replace("x", "0"))
        values = dict(zip(REGISTERS, struct.unpack_from("<17Q", raw)))
        names = "eflags cs ss ds es fs gs".split()
        values.update(zip(names, struct.unpack_from("<7I", raw, FLAGS_AT)))
        if len(raw) >= CONTROL_AT + 9 * 8:
            values.update(zip(CONTROL, struct.unpack_from("<9Q", raw, CONTROL_AT)))
        return values

    def read(self, address, size):
        """Memory at a virtual address, in the CPU's current world."""
        data = bytearray()
        while len(data) < size:
            part = min(1024, size - len(data))
            data += bytes.fromhex(self._ask("m%x,%x" % (address + len(data), part)).decode())
        return bytes(data)

    def write(self, address, data):
        """Writes memory at a virtual address."""
        self._do("M%x,%x:%s" % (address, len(data), data.hex()))

    def set_register(self, name, value):
        """Sets one of the general registers or rip."""
        self._do("P%x=%s" % (REGISTERS.index(name), struct.pack("<Q", value & (2**64 - 1)).hex()))

    def read_physical(self, address, size):
        """Memory at a host-physical address."""
        self._do("Qqemu.PhyMemMode:1")
        try:
            return self.read(address, size)
        finally:
            self._do("Qqemu.PhyMemMode:0")

    def u64(self, address):
        return struct.unpack("<Q", self.read(address, 8))[0]

    def u64_physical(self, address):
        return struct.unpack("<Q", self.read_physical(address, 8))[0]

    def walk(self, cr3, address):
        """The page-table entries of a virtual address, top first, ending at the leaf or at one that is not present."""
        entries, table = [], cr3 & 0x000ffffffffff000
        for shift in (39, 30, 21, 12):
            entry = self.u64_physical(table + ((address >> shift) & 511) * 8)
            entries.append(entry)
            if not entry & 1 or (shift in (30, 21) and entry & 0x80):
                break
            table = entry & 0x000ffffffffff000
        return entries


def _unescape(data):
    out, i = bytearray(), 0
    while i < len(data):
        if data[i] == 0x7d:
            i += 1
            out.append(data[i] ^ 0x20)
        elif data[i] == 0x2a and out:
            i += 1
            out += out[-1:] * (data[i] - 29)
        else:
            out.append(data[i])
        i += 1
    return bytes(out)
