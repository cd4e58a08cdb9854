/*
 * The sensitive instructions: what a kernel does to its CPU, and what in user mode of a real CPU
 * would trap or, worse, quietly do something else (POPF, SMSW, SGDT). All of them come to here,
 * translated or not. The guest is in ring 0 for ever: a selector of another ring ends it.
 */
#include "user/bt/bt.h"

#include <string.h>

enum { CR0_PE = 1, CR0_TS = 8 };
enum { GATE_INTERRUPT = 0x8e, GATE_TRAP = 0x8f };
enum { FLAGS_KEPT = FLAGS_IN_HOST | TF | 0x247000 }; /* IOPL, NT, AC, ID mean nothing here */

void deliver(struct cpu *c, unsigned vector, uint32_t return_eip, int64_t error)
{
    uint32_t gate = c->table[1].base + 8 * vector, low = memory_read(c, gate, 4);
    uint32_t high = memory_read(c, gate + 4, 4), type = high >> 8 & 0xff;

    if (8 * vector + 7 > c->table[1].limit || (type != GATE_INTERRUPT && type != GATE_TRAP))
        die_at(c, return_eip, "triple fault: an exception without a gate in the guest's IDT");
    push(c, c->eflags | 2 | (c->interrupts ? IF : 0));
    push(c, c->segment[CS]);
    push(c, return_eip);
    if (error >= 0)
        push(c, (uint32_t)error);
    c->segment[CS] = (uint16_t)(low >> 16);
    c->eip = (high & 0xffff0000) | (low & 0xffff);
    c->eflags &= ~(uint32_t)TF;
    if (type == GATE_INTERRUPT)
        c->interrupts = 0;
    c->delivered++;
}

/* A selector that is loaded must name a flat descriptor of the guest's GDT. */
static void check_selector(struct cpu *c, uint16_t selector, bool may_be_null)
{
    uint32_t at = c->table[0].base + (selector & 0xfff8);

    if (may_be_null && selector < 4)
        return;
    if (selector < 4 || (selector | 7) > c->table[0].limit || selector & 4)
        raise_exception(c, VECTOR_GP, selector & 0xfffc);
    if (memory_read(c, at, 4) != 0xffff || selector & 3 ||
        (memory_read(c, at + 4, 4) & ~0x100b00u) != 0x00cf9000)
        die_at(c, c->at, "a segment that is not a flat one of ring 0");
}

/* MOV, PUSH and POP of segment registers. */
static bool segments(struct cpu *c, const struct insn *i)
{
    unsigned n = i->op == 0x8c || i->op == 0x8e ? i->reg : i->op >> 3 & (i->op < 0x100 ? 3 : 5);
    uint16_t selector;

    if (n >= SEGMENTS || (i->op == 0x8e && n == CS))
        return false;
    if (i->op == 0x8c) {
        rm_set(c, i, i->mod == 3 ? i->size : 2, c->segment[n]);
    } else if (i->op != 0x8e && !(i->op & 1)) {
        push(c, c->segment[n]);
    } else {
        selector = (uint16_t)(i->op == 0x8e ? rm_get(c, i, 2) : memory_read(c, c->regs[ESP], 2));
        check_selector(c, selector, n != SS);
        c->regs[ESP] += i->op == 0x8e ? 0 : 4;
        c->segment[n] = selector;
        c->shadow |= n == SS;
    }
    return true;
}

/* SLDT STR LLDT LTR, and SGDT SIDT LGDT LIDT SMSW LMSW INVLPG. */
static bool descriptor_tables(struct cpu *c, const struct insn *i)
{
    uint32_t at = rm_address(c, i);
    struct table_register *t = &c->table[i->reg & 1];
    unsigned size = i->mod == 3 ? i->size : 2;

    if (i->op == 0x100 && i->reg < 2) {
        rm_set(c, i, size, c->system_segment[i->reg]);
    } else if (i->op == 0x100) {
        c->system_segment[i->reg & 1] = (uint16_t)rm_get(c, i, 2);
        return i->reg < 4;
    } else if (i->mod != 3 && i->reg < 2) {
        memory_write(c, at, 2, t->limit);
        memory_write(c, at + 2, 4, t->base);
    } else if (i->mod != 3 && i->reg < 4) {
        t->limit = (uint16_t)memory_read(c, at, 2);
        t->base = memory_read(c, at + 2, 4);
    } else if (i->reg == 4) {
        rm_set(c, i, size, c->cr[0]);
    } else if (i->reg == 6) {
        c->cr[0] = (c->cr[0] & ~0xfu) | (rm_get(c, i, 2) & 0xf) | CR0_PE;
    } else {
        return i->reg == 7 && i->mod != 3;
    }
    return true;
}

static bool control_registers(struct cpu *c, const struct insn *i)
{
    uint32_t *which = i->op & 1 ? &c->dr[i->reg] : &c->cr[i->reg], value = c->regs[i->rm];

    if (!(i->op & 1) && (i->reg == 1 || i->reg > 4))
        return false;
    if (i->op == 0x122 && i->reg == 0 && (value >> 31 || !(value & CR0_PE)))
        die_at(c, c->at, "paging or real mode, which bt does not have");
    *(i->op < 0x122 ? &c->regs[i->rm] : which) = i->op < 0x122 ? *which : value;
    return true;
}

/* INT3, INT, INTO and IRET. */
static bool software_interrupt(struct cpu *c, const struct insn *i)
{
    unsigned vector = i->op == 0xcc ? VECTOR_BP : i->op == 0xce ? VECTOR_OF : i->imm & 0xff;

    if (i->op == 0xcf) {
        check_selector(c, (uint16_t)memory_read(c, c->regs[ESP] + 4, 2), false);
        c->eip = pop(c);
        c->segment[CS] = (uint16_t)pop(c);
    } else if (i->op != 0xce || c->eflags & OF) {
        if (8 * vector + 7 > c->table[1].limit)
            raise_exception(c, VECTOR_GP, vector * 8 + 2);
        deliver(c, vector, c->eip, -1);
    }
    return true;
}

/* PUSHF, POPF, and the flags that IRET takes. */
static bool flags(struct cpu *c, const struct insn *i)
{
    if (i->op == 0x9c) {
        push(c, c->eflags | 2 | (c->interrupts ? IF : 0));
        return true;
    }
    uint32_t value = pop(c);
    c->eflags = value & FLAGS_KEPT;
    c->interrupts = !!(value & IF);
    return true;
}

/* A 586 without a floating-point unit, with RDTSC and CMOV; or the time stamp. */
static void identify(struct cpu *c, bool time_stamp)
{
    static const uint32_t answers[2][4] = {{1, 0x61766956, 0x6d756972, 0x54422d20},
                                           {0x500, 0, 1 << 4 | 1 << 15, 0}};
    static const uint8_t order[] = {EAX, EBX, EDX, ECX};
    uint64_t now = __builtin_ia32_rdtsc();
    bool features = c->regs[EAX];

    if (time_stamp) {
        c->regs[EAX] = (uint32_t)now;
        c->regs[EDX] = (uint32_t)(now >> 32);
        return;
    }
    for (unsigned n = 0; n < 4; n++)
        c->regs[order[n]] = answers[features][n];
}

static bool ports(struct cpu *c, const struct insn *i)
{
    uint16_t port = (uint16_t)(i->op < 0xe8 ? i->imm & 0xff : c->regs[EDX]);

    if (i->op & 2)
        port_write(port, i->size, c->regs[EAX]);
    else
        reg_set(c, EAX, i->size, port_read(port, i->size));
    return true;
}

bool system_instruction(struct cpu *c, const struct insn *i)
{
    switch (i->op) {
    case 0x9c ... 0x9d:
        return flags(c, i);
    case 0xcf:
        return software_interrupt(c, i) && flags(c, i);
    case 0xcc ... 0xce:
        return software_interrupt(c, i);
    case 0xe4 ... 0xe7:
    case 0xec ... 0xef:
        return ports(c, i);
    case 0xea:
        check_selector(c, i->selector, false);
        c->segment[CS] = i->selector;
        c->eip = i->imm;
        return true;
    case 0xf4:
        if (!c->interrupts || !devices_wait())
            die_at(c, c->at, "the guest halted for good: nothing will wake it");
        return true;
    case 0xfa ... 0xfb:
        c->shadow = i->op == 0xfb && !c->interrupts;
        c->interrupts = i->op & 1;
        return true;
    case 0x100 ... 0x101:
        return descriptor_tables(c, i);
    case 0x106: /* CLTS, then INVD and WBINVD: there is no cache */
        c->cr[0] &= ~(uint32_t)CR0_TS;
        return true;
    case 0x108 ... 0x109:
        return true;
    case 0x10b: /* UD2 */
        return false;
    case 0x120 ... 0x123:
        return control_registers(c, i);
    case 0x130: /* WRMSR, RDMSR: there is none */
    case 0x132:
        raise_exception(c, VECTOR_GP, 0);
    case 0x131:
    case 0x1a2:
        identify(c, i->op == 0x131);
        return true;
    }
    return segments(c, i);
}
