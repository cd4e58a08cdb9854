"""Turns `nm -n` of the kernel's first link (standard input) into the assembly of its symbol table.

The table holds the text symbols only, whose addresses the second link does not move: the table lies
behind them (kernel.ld). Layout: see struct symbol in kernel/x86/panic.c.
"""
import sys

KERNEL_BASE = 0xFFFFFFFF80000000


def main():
    symbols = []
    for line in sys.stdin:
        address, kind, name = line.split(maxsplit=2)
        if kind in "tT" and int(address, 16) >= KERNEL_BASE:
            symbols.append((int(address, 16) - KERNEL_BASE, name.strip()))
    out = ['.section .symbols, "a"', ".global symbol_count, symbols, symbol_names", ".balign 8"]
    out += [f"symbol_count: .long {len(symbols)}, 0", "symbols:"]
    offset = 0
    for address, name in symbols:
        out.append(f".long {address:#x}, {offset}")
        offset += len(name) + 1
    out.append("symbol_names:")
    out += [f'.asciz "{name}"' for _, name in symbols]
    print("\n".join(out))


if __name__ == "__main__":
    main()
