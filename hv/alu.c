// Arithmetic with flags.

#include "hv/alu.h"

#define CF 1UL
#define PF 4UL
#define AF 16UL
#define ZF 64UL
#define SF 128UL
#define OF 2048UL

u64 alu(enum alu_op op, u64 a, u64 b, unsigned size, u64 *rflags)
{
    unsigned top = 8 * size - 1;
    u64 mask = size == 8 ? ~0UL : (1UL << (8 * size)) - 1;
    u64 carry_in = (op == ALU_ADC || op == ALU_SBB) && (*rflags & CF), r = 0, flags = 0;

    a &= mask;
    b &= mask;
    switch (op) {
    case ALU_ADD:
    case ALU_ADC: {
        r = (a + b + carry_in) & mask;
        u64 carries = (a & b) | ((a | b) & ~r);
        flags = (carries >> top & 1 ? CF : 0) | (carries & 8 ? AF : 0) |
                (((a ^ r) & (b ^ r)) >> top & 1 ? OF : 0);
        break;
    }
    case ALU_SUB:
    case ALU_SBB:
    case ALU_CMP: {
        r = (a - b - carry_in) & mask;
        u64 borrows = (~a & b) | ((~a | b) & r);
        flags = (borrows >> top & 1 ? CF : 0) | (borrows & 8 ? AF : 0) |
                (((a ^ b) & (a ^ r)) >> top & 1 ? OF : 0);
        break;
    }
    case ALU_OR:
        r = a | b;
        break;
    case ALU_AND:
        r = a & b;
        break;
    case ALU_XOR:
        r = a ^ b;
        break;
    }
    flags |= (r ? 0 : ZF) | (r >> top & 1 ? SF : 0) | (__builtin_parity((u8)r) ? 0 : PF);
    *rflags = (*rflags & ~(CF | PF | AF | ZF | SF | OF)) | flags;
    return r;
}
