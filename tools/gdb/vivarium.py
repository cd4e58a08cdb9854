"""GDB commands for Vivarium; `./viv gdb` loads them.

    viv-phys ADDRESS [COUNT]         COUNT quadwords (8) at a host-physical address
    viv-walk ADDRESS [TABLE]         the page-table entries of a virtual address, from CR3 or from TABLE on
    viv-nested ADDRESS TABLE         the same for a guest-physical address in a nested table (nCR3 or the EPT root)
    viv-guest ADDRESS CR3 TABLE      a guest-virtual address, through the guest's CR3 and the nested TABLE

QEMU's stub reads guest memory only where guest-physical equals host-physical; these read physical memory and walk by
themselves.
"""
import struct

import gdb

ADDRESS = 0x000ffffffffff000
NAMES = {4: "PML4", 3: "PDPT", 2: "PD", 1: "PT"}


def number(text):
    return int(gdb.parse_and_eval(text)) & (2**64 - 1)


def read_physical(address, size):
    gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    finally:
        gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)


def quad(address):
    return struct.unpack("<Q", read_physical(address, 8))[0]


def walk(table, address, present, translate=lambda physical: physical):
    """Yields (level, entry) down to the leaf; `translate` makes table addresses host-physical."""
    table &= ADDRESS
    for level in (4, 3, 2, 1):
        entry = quad(translate(table) + 8 * ((address >> (9 * level + 3)) & 511))
        yield level, entry
        if not entry & present or (level in (2, 3) and entry & 0x80):
            return
        table = entry & ADDRESS


def leaf(table, address, present, translate=lambda physical: physical):
    """The physical address that `address` is mapped to; raises if it is not."""
    for level, entry in walk(table, address, present, translate):
        last = level, entry
    level, entry = last
    if not entry & present:
        raise gdb.GdbError("%#x is not mapped: its %s entry is %#x" % (address, NAMES[level], entry))
    size = 1 << (12 + 9 * (level - 1))
    return (entry & ADDRESS & -size) | (address & (size - 1))


def flags(entry):
    names = [(0, "P"), (1, "W"), (2, "U"), (5, "A"), (6, "D"), (7, "PS"), (8, "G"), (9, "COW"), (63, "NX")]
    return " ".join(name for bit, name in names if entry >> bit & 1)


class Command(gdb.Command):
    def __init__(self, name, action, least, most):
        super().__init__(name, gdb.COMMAND_DATA)
        self.action, self.least, self.most = action, least, most

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if not self.least <= len(words) <= self.most:
            raise gdb.GdbError(__doc__)
        self.action(*[number(word) for word in words])


def show_physical(address, count=8):
    for i in range(count):
        print("%#014x  %#018x" % (address + 8 * i, quad(address + 8 * i)))


def show_walk(address, table=None):
    for level, entry in walk(number("$cr3") if table is None else table, address, 1):
        print("%-4s %#018x  %s" % (NAMES[level], entry, flags(entry)))


def show_nested(address, table):
    for level, entry in walk(table, address, 7):
        print("%-4s %#018x" % (NAMES[level], entry))


def show_guest(address, cr3, table):
    def host(physical):
        return leaf(table, physical, 7)
    physical = leaf(cr3, address, 1, host)
    print("guest-virtual %#x = guest-physical %#x = host-physical %#x" % (address, physical, host(physical)))
    show_physical(host(physical))


Command("viv-phys", show_physical, 1, 2)
Command("viv-walk", show_walk, 1, 2)
Command("viv-nested", show_nested, 2, 2)
Command("viv-guest", show_guest, 3, 3)
