/*
 * One instruction, from its decoded form. Operands, memory and control are C's; an innocuous
 * instruction's result and flags are computed by the host's instruction of the same name, alone in
 * a thunk. The translator leaves to this what it does not translate, and is tested against it.
 */
#include "user/bt/bt.h"

#include <string.h>

/* memcpy of 1, 2 or 4 bytes, which the compiler makes single moves of */
#define MOVE(to, from, size)                                                                       \
    (void)((size) == 4   ? memcpy(to, from, 4)                                                     \
           : (size) == 2 ? memcpy(to, from, 2)                                                     \
                         : memcpy(to, from, 1))

uint32_t memory_read(uint32_t address, unsigned size)
{
    uint32_t value = address <= RAM_SIZE - size ? 0 : UINT32_MAX;

    if (!value)
        MOVE(&value, GUEST_BASE + address, size);
    return value;
}

void memory_write(struct cpu *c, uint32_t address, unsigned size, uint32_t value)
{
    if (address > RAM_SIZE - size)
        return;
    cache_drop(c, address, size);
    MOVE(GUEST_BASE + address, &value, size);
}

/* Register n of a size: bytes 4 to 7 are AH, CH, DH, BH. */
static uint8_t *reg_at(const struct cpu *c, unsigned n, unsigned size)
{
    return (uint8_t *)&c->regs[size == 1 ? n & 3 : n] + (size == 1 ? n >> 2 : 0);
}

uint32_t reg_get(const struct cpu *c, unsigned n, unsigned size)
{
    uint32_t value = 0;

    MOVE(&value, reg_at(c, n, size), size);
    return value;
}

void reg_set(struct cpu *c, unsigned n, unsigned size, uint32_t value)
{
    MOVE(reg_at(c, n, size), &value, size);
}

uint32_t rm_address(const struct cpu *c, const struct insn *i)
{
    return i->disp + (i->base >= 0 ? c->regs[i->base] : 0) +
           (i->index >= 0 ? c->regs[i->index] << i->scale : 0);
}

uint32_t rm_get(struct cpu *c, const struct insn *i, unsigned size)
{
    return i->mod == 3 ? reg_get(c, i->rm, size) : memory_read(rm_address(c, i), size);
}

void rm_set(struct cpu *c, const struct insn *i, unsigned size, uint32_t value)
{
    if (i->mod == 3)
        reg_set(c, i->rm, size, value);
    else
        memory_write(c, rm_address(c, i), size, value);
}

void push(struct cpu *c, uint32_t value)
{
    memory_write(c, c->regs[ESP] - 4, 4, value);
    c->regs[ESP] -= 4;
}

uint32_t pop(struct cpu *c)
{
    c->regs[ESP] += 4;
    return memory_read(c->regs[ESP] - 4, 4);
}

/* Carries out an innocuous instruction on two values in place of its r/m and register; they become
 * the results in c->operand. */
static uint32_t compute(struct cpu *c, const struct insn *i, uint32_t rm, uint32_t reg)
{
    c->operand[0] = rm;
    c->operand[1] = reg;
    c->why = LEFT_UNCHAINED;
    if (enter(c, cache_thunk(i)) == LEFT_BY_SIGNAL)
        raise_exception(c, (unsigned)c->fault, NO_ERROR);
    return c->operand[0];
}

static bool innocuous(struct cpu *c, const struct insn *i)
{
    uint32_t address = rm_address(c, i), rm, new_rm, reg = reg_get(c, i->reg, i->size);
    bool memory = i->mod != 3;

    if (i->op == 0x8d && memory)
        reg_set(c, i->reg, i->size, address);
    if (i->op == 0x8d)
        return memory;
    if (i->op == 0x1a3 || i->op == 0x1ab || i->op == 0x1b3 || i->op == 0x1bb)
        /* a bit index in a register reaches beyond the operand */
        address += (uint32_t)(i->word ? (int16_t)reg >> 4 : (int32_t)reg >> 5) * i->size;
    rm = memory ? memory_read(address, i->rm_size) : reg_get(c, i->rm, i->rm_size);
    new_rm = compute(c, i, rm, reg);
    if (HAS_MODRM(i) && c->operand[1] != reg && !i->group)
        reg_set(c, i->reg, i->size, c->operand[1]);
    if (new_rm != rm && memory)
        memory_write(c, address, i->rm_size, new_rm);
    else if (new_rm != rm)
        reg_set(c, i->rm, i->rm_size, new_rm);
    return true;
}

/* MOVS, CMPS, STOS, LODS, SCAS: one element. */
static void string_once(struct cpu *c, const struct insn *i)
{
    struct insn compare = {.op = 0x38 | (i->op & 1), .form = 'm', .word = i->word};
    unsigned kind = i->op & 0xfe, size = i->size, step = c->eflags & DF ? -size : size;
    bool from = kind < 0xa8 || kind == 0xac, to = kind != 0xac;
    uint32_t value = from ? memory_read(c->regs[ESI], size) : reg_get(c, EAX, size);

    if (kind == 0xa6 || kind == 0xae)
        compute(c, &compare, value, memory_read(c->regs[EDI], size));
    else if (to)
        memory_write(c, c->regs[EDI], size, value);
    else
        reg_set(c, EAX, size, value);
    c->regs[ESI] += from ? step : 0;
    c->regs[EDI] += to ? step : 0;
}

static bool string(struct cpu *c, const struct insn *i)
{
    bool compares = (i->op & 6) == 6, on_equal = i->rep == 0xf3;

    if (i->rep && !c->regs[ECX])
        return true;
    string_once(c, i);
    if (i->rep && --c->regs[ECX] && (!compares || !!(c->eflags & ZF) == on_equal))
        c->eip = c->at; /* again, after any interrupt */
    return true;
}

/* PUSHA, POPA, PUSH of an immediate, POP, LEAVE. */
static bool stack(struct cpu *c, const struct insn *i)
{
    uint32_t value = c->regs[ESP];

    if (i->op == 0x60) {
        for (int n = EAX; n <= EDI; n++)
            push(c, n == ESP ? value : c->regs[n]);
    } else if (i->op == 0x61) {
        for (int n = EDI; n >= EAX; n--) {
            value = pop(c);
            c->regs[n] = n == ESP ? c->regs[n] : value;
        }
    } else if (i->op == 0x68) {
        push(c, i->imm);
    } else if (i->op == 0x8f) {
        value = pop(c); /* an address from ESP is computed with the new one */
        rm_set(c, i, 4, value);
    } else {
        c->regs[ESP] = c->regs[EBP];
        c->regs[EBP] = pop(c);
    }
    return true;
}

/* Near transfers. EIP is behind the instruction already. */
static bool transfer(struct cpu *c, const struct insn *i)
{
    struct insn setcc = {.op = 0x190 | (i->op & 15), .form = 'm', .rest_size = 0};
    unsigned op = i->op;
    bool taken = true;

    if (op < 0x80)
        taken = compute(c, &setcc, 0, 0);
    else if (op == 0xe3) /* JECXZ, then LOOPNE, LOOPE, LOOP */
        taken = !c->regs[ECX];
    else if (op >= 0xe0 && op <= 0xe2)
        taken = --c->regs[ECX] && (op == 0xe2 || !!(c->eflags & ZF) == (op & 1));
    else if (op == 0xe8)
        push(c, c->eip);
    if (op == 0xc2) {
        c->eip = pop(c);
        c->regs[ESP] += i->selector;
    } else if (taken) {
        c->eip += i->imm;
    }
    return true;
}

/* CALL, JMP, PUSH. */
static bool group5(struct cpu *c, const struct insn *i)
{
    uint32_t value = rm_get(c, i, 4);

    if (i->reg == 2 || i->reg == 6)
        push(c, i->reg == 2 ? c->eip : value);
    if (i->reg == 2 || i->reg == 4)
        c->eip = value;
    return i->reg == 2 || i->reg == 4 || i->reg == 6;
}

/* Who carries out the opcodes that are not innocuous. */
#define ON(first, last, does) [first... last] = does
static handler *const handlers[0x200] = {
    ON(0x06, 0x07, segments),   ON(0x0e, 0x0e, segments),   ON(0x16, 0x17, segments),
    ON(0x1e, 0x1f, segments),   ON(0x60, 0x61, stack),      ON(0x68, 0x68, stack),
    ON(0x70, 0x7f, transfer),   ON(0x8c, 0x8c, segments),   ON(0x8e, 0x8e, segments),
    ON(0x8f, 0x8f, stack),      ON(0x9c, 0x9d, flags),      ON(0xa4, 0xaf, string),
    ON(0xc2, 0xc2, transfer),   ON(0xc9, 0xc9, stack),      ON(0xcc, 0xcf, software),
    ON(0xe0, 0xe3, transfer),   ON(0xe4, 0xe7, ports),      ON(0xe8, 0xe9, transfer),
    ON(0xea, 0xea, jump_far),   ON(0xec, 0xef, ports),      ON(0xf4, 0xf4, halt),
    ON(0xfa, 0xfb, cli_sti),    ON(0xff, 0xff, group5),     ON(0x100, 0x101, tables),
    ON(0x106, 0x106, control),  ON(0x120, 0x120, control),  ON(0x122, 0x122, control),
    ON(0x1a0, 0x1a1, segments), ON(0x1a2, 0x1a2, identify), ON(0x1a8, 0x1a9, segments),
};

void interpret(struct cpu *c)
{
    struct insn i;
    bool known = decode(c->eip, &i);

    c->at = c->eip;
    c->interpreted++;
    if (!known && i.length >= 12)
        raise_exception(c, VECTOR_GP, 0);
    if (!known)
        die_at(c->eip, "an instruction that bt does not know");
    c->eip += i.length;
    handler *does = COPYABLE(&i) ? innocuous : handlers[i.op];
    if (!does || (i.lock && i.mod == 3) || !does(c, &i))
        raise_exception(c, VECTOR_UD, NO_ERROR);
}
