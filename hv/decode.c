// The instruction decoder: prefixes, opcode, ModRM and the length that follows from them.

#include "hv/decode.h"

struct cursor {
    const u8 *p;
    unsigned at, n;
    bool overrun;
};

static u8 next(struct cursor *c)
{
    if (c->at >= c->n) {
        c->overrun = true;
        return 0;
    }
    return c->p[c->at++];
}

static u64 next_imm(struct cursor *c, unsigned size)
{
    u64 v = 0;

    for (unsigned i = 0; i < size; i++)
        v |= (u64)next(c) << (8 * i);
    // Immediates are sign-extended to the operand.
    return size && size < 8 && (v >> (8 * size - 1) & 1) ? v | ~0UL << (8 * size) : v;
}

static bool legacy_prefix(struct decoded *d, u8 b, bool *opsize, bool *adsize)
{
    switch (b) {
    case 0x66:
        *opsize = true;
        return true;
    case 0x67:
        *adsize = true;
        return true;
    case 0xf0:
        d->lock = true;
        return true;
    case 0xf2:
    case 0xf3:
        d->rep = true;
        d->repne = b == 0xf2;
        return true;
    case 0x26:
        d->segment = 0;
        return true;
    case 0x2e:
        d->segment = 1;
        return true;
    case 0x36:
        d->segment = 2;
        return true;
    case 0x3e:
        d->segment = 3;
        return true;
    case 0x64:
        d->segment = 4;
        return true;
    case 0x65:
        d->segment = 5;
        return true;
    default:
        return false;
    }
}

// Reads prefixes; returns the first byte behind them.
static u8 prefixes(struct cursor *c, struct decoded *d, u8 *rex)
{
    bool opsize = false, adsize = false;
    u8 b = next(c);

    d->segment = 0xff;
    while (legacy_prefix(d, b, &opsize, &adsize))
        b = next(c);
    *rex = 0;
    if (d->mode == 64 && (b & 0xf0) == 0x40) {
        *rex = b;
        b = next(c);
    }
    d->prefixes = c->at - 1;
    if (d->mode == 64) {
        d->operand_size = *rex & 8 ? 8 : opsize ? 2 : 4;
        d->address_size = adsize ? 4 : 8;
    } else {
        d->operand_size = (d->mode == 32) != opsize ? 4 : 2;
        d->address_size = (d->mode == 32) != adsize ? 4 : 2;
    }
    return b;
}

// Skips ModRM's memory operand; returns its reg field (with REX.R). *memory: whether it is one.
static u8 modrm(struct cursor *c, const struct decoded *d, u8 rex, bool *memory)
{
    u8 b = next(c), mod = b >> 6, rm = b & 7;

    *memory = mod != 3;
    if (*memory && d->address_size == 2) {
        next_imm(c, mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0);
    } else if (*memory) {
        u8 base = rm;
        if (rm == 4)
            base = next(c) & 7;
        next_imm(c, mod == 1 ? 1 : mod == 2 || base == 5 ? 4 : 0);
    }
    return (b >> 3 & 7) | (rex & 4 ? 8 : 0);
}

static void set_register(struct decoded *d, u8 reg, u8 size, u8 rex)
{
    d->high_byte = size == 1 && !rex && reg >= 4 && reg < 8;
    d->reg = d->high_byte ? reg - 4 : reg;
    d->reg_size = size;
}

// 00-3b: the eight operations in the forms "r/m, r" and "r, r/m".
static bool alu_opcode(struct cursor *c, struct decoded *d, u8 op, u8 rex)
{
    bool memory;

    d->alu = op >> 3;
    d->size = op & 1 ? d->operand_size : 1;
    d->mem_first = !(op & 2);
    d->op = d->alu == 7 ? OP_CMP : op & 2 ? OP_ALU_REG : OP_ALU_MEM;
    set_register(d, modrm(c, d, rex, &memory), d->size, rex);
    return memory;
}

// 80, 81, 83: an operation with an immediate; c6, c7: MOV; f6, f7: TEST /0, NOT /2, NEG /3.
static bool immediate_opcode(struct cursor *c, struct decoded *d, u8 op, u8 rex)
{
    bool memory;

    d->size = op & 1 ? d->operand_size : 1;
    u8 sub = modrm(c, d, rex, &memory) & 7;
    d->immediate = d->mem_first = true;
    if (op == 0xc6 || op == 0xc7) {
        d->op = OP_STORE;
    } else if (op == 0xf6 || op == 0xf7) {
        d->op = sub < 2 ? OP_TEST : sub == 2 ? OP_NOT : OP_NEG;
        if (sub > 1)
            return memory && sub < 4;
    } else {
        d->alu = sub;
        d->op = sub == 7 ? OP_CMP : OP_ALU_MEM;
    }
    d->imm = next_imm(c, op == 0x83 || d->size == 1 ? 1 : d->size == 2 ? 2 : 4);
    return memory && (sub == 0 || d->op != OP_STORE);
}

// a0-a3: MOV between the accumulator and an absolute address.
static bool moffs_opcode(struct cursor *c, struct decoded *d, u8 op)
{
    d->size = op & 1 ? d->operand_size : 1;
    d->op = op & 2 ? OP_STORE : OP_LOAD;
    set_register(d, 0, d->size, 1);
    next_imm(c, d->address_size);
    return true;
}

// a3, ab, b3, bb: BT, BTS, BTR, BTC with a register, and ba /4 to /7 with an immediate.
static bool bit_opcode(struct cursor *c, struct decoded *d, u8 op, u8 rex)
{
    bool memory;
    u8 reg = modrm(c, d, rex, &memory);

    d->immediate = op == 0xba;
    d->size = d->operand_size;
    d->alu = (d->immediate ? reg : op >> 3) & 3;
    d->op = d->alu ? OP_BITS : OP_BT;
    set_register(d, reg, d->size, rex);
    if (d->immediate)
        d->imm = next_imm(c, 1);
    return memory && (!d->immediate || (reg & 4));
}

static bool two_byte_opcode(struct cursor *c, struct decoded *d, u8 rex)
{
    bool memory;
    u8 op = next(c);

    if ((op & 0xe7) == 0xa3 || op == 0xba)
        return bit_opcode(c, d, op, rex);
    if (op == 0xb0 || op == 0xb1 || op == 0xc0 || op == 0xc1) {
        d->size = op & 1 ? d->operand_size : 1;
        d->op = op < 0xc0 ? OP_CMPXCHG : OP_XADD;
        set_register(d, modrm(c, d, rex, &memory), d->size, rex);
        return memory;
    }
    if ((op & 0xf6) != 0xb6) { // MOVZX b6 b7, MOVSX be bf
        d->op = OP_OTHER;
        return true;
    }
    d->size = op & 1 ? 2 : 1;
    d->op = OP_LOAD;
    d->sign_extend = op & 8;
    set_register(d, modrm(c, d, rex, &memory), d->operand_size, 1);
    return memory;
}

// fe, ff: INC and DEC.
static bool increment_opcode(struct cursor *c, struct decoded *d, u8 op, u8 rex)
{
    bool memory;

    d->size = op & 1 ? d->operand_size : 1;
    u8 sub = modrm(c, d, rex, &memory) & 7;
    d->op = sub == 1 ? OP_DEC : OP_INC;
    return memory && sub < 2;
}

static bool opcode(struct cursor *c, struct decoded *d, u8 op, u8 rex)
{
    bool memory;

    if (op < 0x40 && (op & 7) < 4)
        return alu_opcode(c, d, op, rex);
    switch (op) {
    case 0x0f:
        return two_byte_opcode(c, d, rex);
    case 0x63: // MOVSXD
        d->size = 4;
        d->op = OP_LOAD;
        d->sign_extend = true;
        set_register(d, modrm(c, d, rex, &memory), d->operand_size, 1);
        return memory && d->mode == 64;
    case 0x80:
    case 0x81:
    case 0x83:
    case 0xc6:
    case 0xc7:
    case 0xf6:
    case 0xf7:
        return immediate_opcode(c, d, op, rex);
    case 0x84 ... 0x8b:
        d->size = op & 1 ? d->operand_size : 1;
        d->op = op < 0x86 ? OP_TEST : op < 0x88 ? OP_XCHG : op & 2 ? OP_LOAD : OP_STORE;
        set_register(d, modrm(c, d, rex, &memory), d->size, rex);
        return memory;
    case 0xa0 ... 0xa3:
        return moffs_opcode(c, d, op);
    case 0xa4 ... 0xa7:
        d->op = op < 0xa6 ? OP_MOVS : OP_CMPS;
        d->size = op & 1 ? d->operand_size : 1;
        return true;
    case 0xaa ... 0xaf:
        d->op = op < 0xac ? OP_STOS : op < 0xae ? OP_LODS : OP_SCAS;
        d->size = op & 1 ? d->operand_size : 1;
        set_register(d, 0, d->size, 1);
        return true;
    case 0xfe:
    case 0xff:
        return increment_opcode(c, d, op, rex);
    default: // one byte, or the caller knows what follows
        d->op = OP_OTHER;
        return true;
    }
}

bool decode(const u8 *bytes, unsigned n, unsigned mode, struct decoded *d)
{
    struct cursor c = {.p = bytes, .n = n < INSN_MAX ? n : INSN_MAX};
    u8 rex;

    *d = (struct decoded){.mode = mode};
    u8 op = prefixes(&c, d, &rex);
    bool known = opcode(&c, d, op, rex);
    d->length = c.at;
    return known && !c.overrun;
}
