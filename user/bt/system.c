/*
 * The sensitive instructions: what a kernel does to its CPU, and what in user mode of a real CPU
 * would trap or, worse, quietly do something else (POPF, SMSW, SGDT). All of them come to here,
 * translated or not. The guest is in ring 0 for ever: a selector of another ring ends it.
 */
#include "user/bt/bt.h"

#include <string.h>

enum { CR0_PE = 1, CR0_TS = 8, GATE_INTERRUPT = 0x8e, GATE_TRAP = 0x8f };
enum { FLAGS_KEPT = FLAGS_IN_HOST | TF | 0x247000 }; /* IOPL, NT, AC, ID mean nothing here */

void deliver(struct cpu *c, unsigned vector, uint32_t return_eip, int64_t error)
{
    uint32_t gate = c->table_base[1] + 8 * vector, low = memory_read(gate, 4);
    uint32_t high = memory_read(gate + 4, 4), type = high >> 8 & 0xff;

    if (8 * vector + 7 > c->table_limit[1] || (type != GATE_INTERRUPT && type != GATE_TRAP))
        die_at(return_eip, "triple fault: an exception without a gate in the guest's IDT");
    push(c, c->eflags | 2 | (c->interrupts ? IF : 0));
    push(c, c->segment[CS]);
    push(c, return_eip);
    if (error != NO_ERROR)
        push(c, (uint32_t)error);
    c->segment[CS] = (uint16_t)(low >> 16);
    c->eip = (high & 0xffff0000) | (low & 0xffff);
    c->eflags &= ~(uint32_t)TF;
    c->interrupts &= type == GATE_TRAP;
}

/* A selector that is loaded must name a flat descriptor of the guest's GDT. */
static void check_selector(struct cpu *c, uint16_t selector)
{
    uint32_t at = c->table_base[0] + (selector & 0xfff8);

    if (selector < 4 || (selector | 7) > c->table_limit[0] || selector & 4)
        raise_exception(c, VECTOR_GP, selector & 0xfffc);
    if (memory_read(at, 4) != 0xffff || selector & 3 ||
        (memory_read(at + 4, 4) & ~0x100b00u) != 0x00cf9000)
        die_at(c->at, "a segment that is not a flat one of ring 0");
}

/* MOV, PUSH and POP of segment registers. */
bool segments(struct cpu *c, const struct insn *i)
{
    bool mov = i->op == 0x8c || i->op == 0x8e;
    unsigned n = mov ? i->reg : i->op >> 3 & (i->op < 0x100 ? 3 : 5);

    if (n >= SEGMENTS || (i->op == 0x8e && n == CS))
        return false;
    if (i->op == 0x8c) {
        rm_set(c, i, i->mod == 3 ? i->size : 2, c->segment[n]);
    } else if (!mov && !(i->op & 1)) {
        push(c, c->segment[n]);
    } else {
        uint16_t selector = (uint16_t)(mov ? rm_get(c, i, 2) : memory_read(c->regs[ESP], 2));
        if (n == SS || selector >= 4)
            check_selector(c, selector);
        c->regs[ESP] += mov ? 0 : 4;
        c->segment[n] = selector;
        c->shadow |= n == SS;
    }
    return true;
}

/* SLDT STR LLDT LTR, and SGDT SIDT LGDT LIDT SMSW INVLPG. */
bool tables(struct cpu *c, const struct insn *i)
{
    uint32_t at = rm_address(c, i), which = i->reg & 1;
    unsigned size = i->mod == 3 ? i->size : 2;

    if (i->op == 0x100 && i->reg < 2) {
        rm_set(c, i, size, c->system_segment[which]);
    } else if (i->op == 0x100) {
        c->system_segment[which] = (uint16_t)rm_get(c, i, 2);
        return i->reg < 4;
    } else if (i->mod != 3 && i->reg < 2) {
        memory_write(c, at, 2, c->table_limit[which]);
        memory_write(c, at + 2, 4, c->table_base[which]);
    } else if (i->mod != 3 && i->reg < 4) {
        c->table_limit[which] = (uint16_t)memory_read(at, 2);
        c->table_base[which] = memory_read(at + 2, 4);
    } else if (i->reg == 4) {
        rm_set(c, i, size, c->cr[0]);
    } else {
        return i->reg == 7 && i->mod != 3;
    }
    return true;
}

/* CLTS, MOV of CR0, CR2, CR3, CR4. */
bool control(struct cpu *c, const struct insn *i)
{
    uint32_t value = c->regs[i->rm];

    if (i->op == 0x106)
        c->cr[0] &= ~(uint32_t)CR0_TS;
    if (i->op == 0x106)
        return true;
    if (i->reg == 1 || i->reg > 4)
        return false;
    if (i->op == 0x122 && i->reg == 0 && (value >> 31 || !(value & CR0_PE)))
        die_at(c->at, "paging or real mode, which bt does not have");
    *(i->op == 0x120 ? &c->regs[i->rm] : &c->cr[i->reg]) = i->op == 0x120 ? c->cr[i->reg] : value;
    return true;
}

/* PUSHF, POPF, and the flags that IRET takes. */
bool flags(struct cpu *c, const struct insn *i)
{
    if (i->op == 0x9c) {
        push(c, c->eflags | 2 | (c->interrupts ? IF : 0));
    } else {
        uint32_t value = pop(c);
        c->eflags = value & FLAGS_KEPT;
        c->interrupts = !!(value & IF);
    }
    return true;
}

/* INT3, INT, INTO and IRET. */
bool software(struct cpu *c, const struct insn *i)
{
    unsigned vector = i->op == 0xcc ? VECTOR_BP : i->op == 0xce ? VECTOR_OF : i->imm & 0xff;

    if (i->op == 0xcf) {
        check_selector(c, (uint16_t)memory_read(c->regs[ESP] + 4, 2));
        c->eip = pop(c);
        c->segment[CS] = (uint16_t)pop(c);
        return flags(c, i);
    }
    if (i->op == 0xce && !(c->eflags & OF))
        return true;
    if (8 * vector + 7 > c->table_limit[1])
        raise_exception(c, VECTOR_GP, vector * 8 + 2);
    deliver(c, vector, c->eip, NO_ERROR);
    return true;
}

/* CPUID: a 486 with CMOV, without a floating-point unit. */
bool identify(struct cpu *c, const struct insn *i)
{
    static const uint32_t answers[2][4] = {{1, 0x20746220, 0x6d756972, 0x61766956},
                                           {0x400, 0, 1 << 15, 0}};

    memcpy(c->regs, answers[c->regs[EAX] > 0], sizeof(answers[0]));
    return true;
}

bool ports(struct cpu *c, const struct insn *i)
{
    uint16_t port = (uint16_t)(i->op < 0xe8 ? i->imm & 0xff : c->regs[EDX]);

    if (i->op & 2)
        port_write(port, i->size, c->regs[EAX]);
    else
        reg_set(c, EAX, i->size, port_read(port));
    return true;
}

bool jump_far(struct cpu *c, const struct insn *i)
{
    check_selector(c, i->selector);
    c->segment[CS] = i->selector;
    c->eip = i->imm;
    return true;
}

bool halt(struct cpu *c, const struct insn *i)
{
    if (!c->interrupts || !devices_wait(&c->alarm))
        die_at(c->at, "the guest halted for good: nothing will wake it");
    return true;
}

/* CLI, STI. */
bool cli_sti(struct cpu *c, const struct insn *i)
{
    c->shadow = i->op == 0xfb && !c->interrupts;
    c->interrupts = i->op & 1;
    return true;
}
