/*
 * One instruction, from its decoded form. Operands, memory and control are C's; an innocuous
 * instruction's result and flags are computed by the host's instruction of the same name, alone in
 * a thunk. The translator leaves to this what it does not translate, and is tested against it.
 */
#include "user/bt/bt.h"

#include <string.h>

uint32_t memory_read(struct cpu *c, uint32_t address, unsigned size)
{
    uint32_t value = UINT32_MAX;

    if (address <= c->ram_size - size)
        memcpy(&value, GUEST_BASE + address, size);
    return size == 4 ? value : value & ((1u << size * 8) - 1);
}

void memory_write(struct cpu *c, uint32_t address, unsigned size, uint32_t value)
{
    if (address > c->ram_size - size)
        return;
    cache_drop(c, address, size);
    memcpy(GUEST_BASE + address, &value, size);
}

/* Register n of a size: bytes 4 to 7 are AH, CH, DH, BH. */
static uint8_t *reg_at(const struct cpu *c, unsigned n, unsigned size)
{
    return (uint8_t *)&c->regs[size == 1 ? n & 3 : n] + (size == 1 ? n >> 2 : 0);
}

uint32_t reg_get(const struct cpu *c, unsigned n, unsigned size)
{
    uint32_t value = 0;

    memcpy(&value, reg_at(c, n, size), size);
    return value;
}

void reg_set(struct cpu *c, unsigned n, unsigned size, uint32_t value)
{
    memcpy(reg_at(c, n, size), &value, size);
}

uint32_t rm_address(const struct cpu *c, const struct insn *i)
{
    return i->disp + (i->base >= 0 ? c->regs[i->base] : 0) +
           (i->index >= 0 ? c->regs[i->index] << i->scale : 0);
}

uint32_t rm_get(struct cpu *c, const struct insn *i, unsigned size)
{
    return i->mod == 3 ? reg_get(c, i->rm, size) : memory_read(c, rm_address(c, i), size);
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
    uint32_t value = memory_read(c, c->regs[ESP], 4);

    c->regs[ESP] += 4;
    return value;
}

/* Carries out an innocuous instruction with c->operand in place of its r/m and register. */
static void compute(struct cpu *c, const struct insn *i)
{
    c->why = LEFT_UNCHAINED;
    if (enter(c, cache_thunk(i)) == LEFT_BY_SIGNAL)
        raise_exception(c, c->fault, -1);
}

/* The operation of an opcode on two values; the first becomes the result. */
static uint32_t operate(struct cpu *c, unsigned op, unsigned reg, unsigned size, uint32_t a,
                        uint32_t b)
{
    const struct insn i = {.op = (uint16_t)op, .form = 'm', .reg = (uint8_t)reg, .word = size == 2};

    c->operand[0] = a;
    c->operand[1] = b;
    compute(c, &i);
    return c->operand[0];
}

static bool innocuous(struct cpu *c, const struct insn *i)
{
    uint32_t address = rm_address(c, i), rm, reg = reg_get(c, i->reg, i->size);
    bool memory = i->mod != 3;

    if (i->op == 0x8d) {
        if (memory)
            reg_set(c, i->reg, i->size, address);
        return memory;
    }
    if (i->op == 0x1a3 || i->op == 0x1ab || i->op == 0x1b3 || i->op == 0x1bb)
        /* a bit index in a register reaches beyond the operand */
        address += (uint32_t)(i->word ? (int16_t)reg >> 4 : (int32_t)reg >> 5) * i->size;
    rm = memory ? memory_read(c, address, i->rm_size) : reg_get(c, i->rm, i->rm_size);
    c->operand[0] = rm;
    c->operand[1] = reg;
    compute(c, i);
    if (HAS_MODRM(i) && c->operand[1] != reg && !is_group(i))
        reg_set(c, i->reg, i->size, c->operand[1]);
    if (c->operand[0] != rm && memory)
        memory_write(c, address, i->rm_size, c->operand[0]);
    else if (c->operand[0] != rm && HAS_MODRM(i))
        reg_set(c, i->rm, i->rm_size, c->operand[0]);
    return true;
}

/* MOVS, CMPS, STOS, LODS, SCAS: one element. */
static void string_once(struct cpu *c, const struct insn *i)
{
    unsigned kind = i->op & 0xfe, size = i->size;
    uint32_t step = c->eflags & DF ? -size : size;
    bool from = kind < 0xa8 || kind == 0xac, to = kind != 0xac;
    uint32_t value = from ? memory_read(c, c->regs[ESI], size) : reg_get(c, EAX, size);

    if (kind == 0xa6 || kind == 0xae) /* CMP of the same size */
        operate(c, 0x38 | (size > 1), 0, size, value, memory_read(c, c->regs[EDI], size));
    else if (to)
        memory_write(c, c->regs[EDI], size, value);
    else
        reg_set(c, EAX, size, value);
    c->regs[ESI] += from ? step : 0;
    c->regs[EDI] += to ? step : 0;
}

static bool string(struct cpu *c, const struct insn *i)
{
    bool compares = (i->op & 0xfe) == 0xa6 || (i->op & 0xfe) == 0xae;

    if (!i->rep)
        string_once(c, i);
    while (i->rep && c->regs[ECX]) {
        string_once(c, i);
        c->regs[ECX]--;
        if (compares && (c->eflags & ZF ? 0xf2 : 0xf3) == i->rep)
            break;
    }
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
        for (int n = EDI; n >= EAX; n--)
            memcpy(n == ESP ? &value : &c->regs[n], (uint32_t[]){pop(c)}, 4);
    } else if (i->op == 0x68) {
        push(c, i->imm);
    } else {
        if (i->op == 0xc9)
            c->regs[ESP] = c->regs[EBP];
        value = pop(c); /* an address from ESP is computed with the new one */
        if (i->op == 0xc9)
            c->regs[EBP] = value;
        else
            rm_set(c, i, 4, value);
    }
    return true;
}

/* Near transfers. EIP is behind the instruction already. */
static bool transfer(struct cpu *c, const struct insn *i)
{
    unsigned op = i->op;
    bool taken = true;

    if (op < 0x80)
        taken = operate(c, 0x190 | (op & 15), 0, 1, 0, 0); /* SETcc */
    else if (op == 0xe3)                                   /* JECXZ, then LOOPNE, LOOPE, LOOP */
        taken = !c->regs[ECX];
    else if (op >= 0xe0 && op <= 0xe2)
        taken = --c->regs[ECX] && (op == 0xe2 || (c->eflags & ZF ? 1u : 0) == (op & 1));
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

/* Who carries out the opcodes that are neither innocuous nor a kernel's. */
static bool (*const handlers[0x200])(struct cpu *c, const struct insn *i) = {
    [0x60 ... 0x68] = stack,    [0x70 ... 0x7f] = transfer, [0x8f] = stack,
    [0xa4 ... 0xaf] = string,   [0xc2] = transfer,          [0xc9] = stack,
    [0xe0 ... 0xe3] = transfer, [0xe8 ... 0xe9] = transfer, [0xff] = group5,
};

void interpret(struct cpu *c)
{
    struct insn i;
    bool known = decode(c, c->eip, &i);

    c->at = c->eip;
    c->interpreted++;
    if (!known && i.length >= 12)
        raise_exception(c, VECTOR_GP, 0);
    if (!known)
        die_at(c, c->eip, "an instruction that bt does not know");
    c->eip += i.length;
    if (i.lock && (!HAS_MODRM(&i) || i.mod == 3))
        raise_exception(c, VECTOR_UD, -1);
    bool (*handler)(struct cpu *, const struct insn *) = handlers[i.op];
    if (COPYABLE(&i))
        handler = innocuous;
    if (!(handler ? handler : system_instruction)(c, &i))
        raise_exception(c, VECTOR_UD, -1);
}
