/* Reading one instruction: prefixes, opcode, ModRM, SIB, displacement, immediate. SDM 2, chapter 2.
 */
#include "user/bt/bt.h"

#include <string.h>

enum { MAX_LENGTH = 15 };

/*
 * What follows each opcode, and whether it is innocuous. Small letters are: n nothing, m ModRM,
 * i ModRM and a byte, l ModRM and a word or long, b a byte, z a word or long, g ModRM and an
 * immediate for TEST only. Capitals have the same meaning but need care: control transfers, the
 * stack, strings, what only a kernel may do, and what means something else in 64-bit mode. W a
 * word, F a far pointer, O an offset. A dot: not known, or a prefix.
 */
static const char forms[] =
    "mmmmbzNNmmmmbzN.mmmmbzNNmmmmbzNNmmmmbz..mmmmbz..mmmmbz..mmmmbz.." /* 00 */
    "NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN......ZlBi....BBBBBBBBBBBBBBBB" /* 40 */
    "il.immmmmmmmMmMMnnnnnnnnnn..NNnnOOOONNNNbzNNNNNNbbbbbbbbzzzzzzzz" /* 80 */
    "iiWN..il.N..NBNNmmmm............BBBBBBBBZZFBNNNN....NnggnnNNnnmM" /* c0 */
    "MM....N....N...................mMMMM............NNN............." /* 0f 00 */
    "mmmmmmmmmmmmmmmm................................................" /* 0f 40 */
    "ZZZZZZZZZZZZZZZZmmmmmmmmmmmmmmmmNNNmim..NN.mim.mmm.m..mm..immmmm" /* 0f 80 */
    "mm......nnnnnnnn................................................" /* 0f c0 */;

/* One bit for each opcode that works on bytes. */
static const uint32_t byte_opcodes[] = {0x55555555, 0x55555555, 0,          0,
                                        0x00000551, 0x00005555, 0x00050041, 0x40405050};

static uint32_t take(struct insn *i, unsigned size)
{
    if (i->length + size > MAX_LENGTH)
        i->form = '.';
    if (i->form == '.')
        return 0;
    uint32_t value = memory_read(i->eip + i->length, size);
    memcpy(i->rest + i->rest_size, &value, 4);
    i->rest_size = (uint8_t)(i->rest_size + size);
    i->length = (uint8_t)(i->length + size);
    return value;
}

static void read_modrm(struct insn *i)
{
    uint8_t modrm = (uint8_t)take(i, 1);

    i->rest_size = 0;
    i->mod = modrm >> 6;
    i->reg = modrm >> 3 & 7;
    i->rm = modrm & 7;
    if (i->op >= 0x120 && i->op <= 0x123)
        i->mod = 3; /* MOV of control registers has no memory form */
    if (i->mod == 3)
        return;
    i->base = (int8_t)i->rm;
    if (i->rm == 4) {
        uint8_t sib = (uint8_t)take(i, 1);
        i->base = sib & 7;
        i->index = (sib >> 3 & 7) == 4 ? -1 : sib >> 3 & 7;
        i->scale = sib >> 6;
    }
    if (i->mod == 0 && i->base == 5)
        i->base = -1;
    if (i->mod == 1)
        i->disp = (uint32_t)(int8_t)take(i, 1);
    else if (i->mod == 2 || i->base < 0)
        i->disp = take(i, 4);
}

static void read_opcode(struct insn *i)
{
    for (;;) {
        uint8_t byte = (uint8_t)take(i, 1);
        i->op = byte;
        if (byte == 0x66)
            i->word = true;
        else if (byte == 0xf0)
            i->lock = true;
        else if (byte == 0xf2 || byte == 0xf3)
            i->rep = byte;
        else if (((byte & 0xe7) != 0x26 && (byte & 0xfe) != 0x64) || i->form == '.')
            break; /* segments are flat: their prefixes mean nothing */
    }
    if (i->op == 0x0f)
        i->op = (uint16_t)(0x100 + take(i, 1));
    if (i->form != '.')
        i->form = forms[i->op];
}

static void read_immediate(struct insn *i)
{
    unsigned kind = i->form | 0x20, z = i->word ? 2 : 4;

    if (kind == 'b' || kind == 'i')
        i->imm = (uint32_t)(int8_t)take(i, 1);
    else if (kind == 'z' || kind == 'l' || kind == 'f')
        i->imm = take(i, z);
    else if (kind == 'g' && i->reg < 2)
        i->imm = take(i, i->size == 1 ? 1 : z);
    else if (kind == 'o')
        i->disp = take(i, 4);
    if (kind == 'w' || kind == 'f')
        i->selector = (uint16_t)take(i, 2);
}

/* Transfers and stack operations of 16 bits, and what is newer than bt's guest. */
static bool is_strange(const struct insn *i)
{
    unsigned op = i->op;

    if (i->word && !COPYABLE(i))
        return op < 0x40 || (op >= 0x50 && op < 0x8c) || (op >= 0x8f && op < 0xa0) ||
               (op == 0xff && i->reg > 1) || (op >= 0xb0 && op < 0xff && (op & 0xf4) != 0xe4);
    return (op == 0xc6 || op == 0xc7) && i->reg; /* XABORT, XBEGIN */
}

/* Short forms become the long ones that mean the same; so do those that 64-bit mode does not have.
 */
static void normalize(struct insn *i)
{
    unsigned op = i->op;

    if (op >= 0x40 && op < 0x60) { /* INC, DEC, PUSH, POP of a register */
        i->op = op < 0x58 ? 0xff : 0x8f;
        i->reg = op < 0x50 ? op >> 3 & 1 : op < 0x58 ? 6 : 0;
        i->group = true;
        i->rm = op & 7;
        i->form = op < 0x50 ? 'm' : 'M';
    } else if (op >= 0xa0 && op < 0xa4) { /* MOV of the accumulator and an absolute address */
        i->op = (op & 1) | (op < 0xa2 ? 0x8a : 0x88);
        i->mod = 0;
        i->rm = 5;
        i->imm_at = i->rest_size;
        i->form = 'm';
    } else if (op == 0xff && i->reg < 2) {
        i->form = 'm';
    } else if (op >= 0x180 && op < 0x190) {
        i->op = 0x70 | (op & 15);
    } else if (op == 0xeb || op == 0x6a || op == 0xc3) {
        i->op = op == 0xeb ? 0xe9 : op == 0x6a ? 0x68 : 0xc2;
    }
}

bool decode(uint32_t eip, struct insn *i)
{
    if (eip >= RAM_SIZE)
        die(STATUS_CRASHED, "EIP 0x%x: jump outside of the guest's memory", eip);
    *i = (struct insn){.eip = eip, .form = 'n', .mod = 3, .base = -1, .index = -1};
    read_opcode(i);
    i->rest_size = 0;
    i->size = i->word ? 2 : 4;
    if (i->op < 0x100 ? byte_opcodes[i->op >> 5] >> (i->op & 31) & 1
                      : i->op == 0x1b0 || i->op == 0x1c0)
        i->size = 1;
    i->rm_size = i->size;
    if ((i->op & 0x1f0) == 0x190 || i->op == 0x1b6 || i->op == 0x1be)
        i->rm_size = 1;
    else if (i->op == 0x1b7 || i->op == 0x1bf)
        i->rm_size = 2;
    if (HAS_MODRM(i))
        read_modrm(i);
    i->imm_at = i->rest_size;
    read_immediate(i);
    i->group =
        (i->op >= 0x80 && i->op < 0x84) || (i->op >= 0xc0 && i->op <= 0xff) || i->op == 0x1ba;
    bool known = i->form != '.' && !is_strange(i);
    if (known)
        normalize(i);
    return known;
}
