"""Calls functions of a stopped kernel from outside, through the debug stub.

The machine is stopped at the first call of a function where the kernel is in a known state (one CPU, kernel lock held,
interrupts off). From then on each call() sets up the registers as the System V ABI says, lets the CPU run until the
function returns or the kernel panics, and hands back RAX. Nothing that the kernel prints takes part.
"""
import re
import struct
import subprocess

from . import gdbstub

STACK_GAP = 4096


class Panic(AssertionError):
    """The kernel panicked in a call; the message is its format with the first string filled in."""


class Kernel:
    """A kernel in `target` (a started, paused Machine with gdb on), stopped where `symbol` is first called."""

    def __init__(self, target, elf, symbol, timeout=20):
        self.symbols = read_symbols(elf)
        self.target = target
        self.stub = gdbstub.GdbStub(target.gdb_path, timeout)
        self.home = self.address(symbol)
        self.panic_at = self.address("panic")
        self.stub.breakpoint(self.panic_at)
        self.stub.breakpoint(self.home)
        self._go("the way to " + symbol)
        self.saved = self.stub.registers()

    def address(self, symbol):
        if symbol not in self.symbols:
            raise AssertionError("expected a function or variable %s in the kernel, but there is none" % symbol)
        return self.symbols[symbol]

    def _go(self, what):
        """Runs until a breakpoint; raises if it is the one in panic()."""
        self.stub.resume()
        try:
            self.stub.wait_stop()
        except OSError:
            raise AssertionError("%s: expected it to return, but it ran on and on" % what) from None
        except EOFError:
            raise AssertionError("%s: the machine ended (%s)" % (what, self.target.reason())) from None
        registers = self.stub.registers()
        if registers["rip"] == self.panic_at:
            raise Panic("%s: the kernel panicked: %s" % (what, self._panic_text(registers)))
        return registers

    def _panic_text(self, registers):
        """The message of panic(format, ...), as far as its first arguments are texts and numbers."""
        arguments = [registers[name] for name in ("rsi", "rdx", "rcx", "r8", "r9")]

        def fill(match):
            if not arguments:
                return match.group()
            value = arguments.pop(0)
            if match.group().endswith("s"):
                return self.string(value)
            return format(value, "#x" if "x" in match.group() else "d")
        return re.sub(r"%[-0-9.]*[lz]*[sduxi]", fill, self.string(registers["rdi"])).strip()

    def string(self, address, limit=200):
        return self.stub.read(address, limit).split(b"\0")[0].decode(errors="replace")

    def call(self, function, *arguments):
        """Calls `function` with up to six integers; returns RAX as an unsigned number."""
        stack = ((self.saved["rsp"] - STACK_GAP) & ~15) - 8
        self.stub.write(stack, struct.pack("<Q", self.home))
        for register, value in zip(("rdi", "rsi", "rdx", "rcx", "r8", "r9"), arguments):
            self.stub.set_register(register, value)
        self.stub.set_register("rsp", stack)
        self.stub.set_register("rip", self.address(function))
        return self._go("%s(%s)" % (function, ", ".join("%#x" % value for value in arguments)))["rax"]

    def close(self):
        self.stub.sock.close()


def read_symbols(elf):
    """Name to address of every symbol of an ELF file; of static twins the last one."""
    listing = subprocess.run(["nm", elf], check=True, capture_output=True, text=True).stdout
    return {match.group(2): int(match.group(1), 16) for match in re.finditer(r"^(\w+) \w (\w+)$", listing, re.M)}
