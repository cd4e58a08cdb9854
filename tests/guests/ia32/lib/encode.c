/* See encode.h. */
#include "tests/guests/ia32/lib/encode.h"

uint8_t *at;
uint32_t seed, data[DATA / 4] __attribute__((aligned(4096)));

uint32_t any(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % below;
}

uint32_t word(void)
{
    static const uint32_t edges[] = {0,      1,      0x7f,       0x80,       0xff,
                                     0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff};
    uint32_t w = any(0xffffffff);

    return any(3) ? w : edges[w % 10];
}

void byte(uint32_t b)
{
    *at++ = (uint8_t)b;
}

void number(uint32_t value, unsigned size)
{
    for (; size; size--, value >>= 8)
        byte(value);
}

/* A register that is not ESP. */
unsigned reg(void)
{
    unsigned r = any(7);

    return r < ESP ? r : r + 1;
}

void load(unsigned r, uint32_t value)
{
    byte(0xb8 + r);
    number(value, 4);
}

uint32_t place(void)
{
    return (uint32_t)data + 64 + any(DATA - 192);
}

struct operand memory_operand(void)
{
    struct operand o = {.mod = (uint8_t)any(3), .rm = (uint8_t)reg(), .index = ESP};
    uint32_t distance = o.mod == 1 ? any(128) - 64 : o.mod == 2 ? word() : 0, inner = 0;

    o.base = o.rm;
    if (!any(6)) { /* absolute */
        o = (struct operand){.mod = 0, .rm = EBP, .base = EBP, .disp = place()};
        return o;
    }
    if (o.mod == 0 && o.base == EBP)
        o.base = o.rm = EBX;
    if (!any(2)) { /* with an index */
        o.rm = ESP;
        do
            o.index = (uint8_t)reg();
        while (o.index == o.base);
        o.scale = (uint8_t)any(4);
        inner = any(64) - 32;
        load(o.index, inner);
    } else if (!any(4)) { /* on the stack */
        o = (struct operand){.mod = 1, .rm = ESP, .base = ESP, .index = ESP, .disp = 8 + any(40)};
        return o;
    }
    o.disp = distance;
    load(o.base, place() - distance - (inner << o.scale));
    return o;
}

void modrm(unsigned field, const struct operand *o)
{
    byte((uint32_t)(o->mod << 6 | field << 3 | o->rm));
    if (o->mod == 3)
        return;
    if (o->rm == ESP)
        byte((uint32_t)(o->scale << 6 | o->index << 3 | o->base));
    if (o->mod == 1)
        byte(o->disp);
    else if (o->mod == 2 || o->base == EBP)
        number(o->disp, 4);
}

/* Memory or a register; byte_regs: AH to BH too. */
struct operand operand(bool byte_regs)
{
    if (any(2))
        return memory_operand();
    return (struct operand){.mod = 3, .rm = (uint8_t)(byte_regs ? any(8) : reg())};
}

unsigned choose_size(void)
{
    return 1u << any(3);
}

void opcode(unsigned op, unsigned size)
{
    if (size == 2)
        byte(0x66);
    if (op >= 0x100)
        byte(0x0f);
    byte(op);
}

unsigned data_reg(unsigned size)
{
    return size == 1 ? any(8) : reg();
}

void settle(enum after after)
{
    unsigned r = reg();

    if (after == CARRY_DEFINED) { /* ADC r, imm */
        byte(0x81);
        byte(0xd0 | r);
        number(word(), 4);
    } else if (after != ALL_DEFINED) { /* SETZ, then CMP r, imm */
        if (after == ZERO_DEFINED) {
            byte(0x0f);
            byte(0x94);
            byte(0xc0 | any(8));
        }
        byte(0x81);
        byte(0xf8 | r);
        number(word(), 4);
    }
}
