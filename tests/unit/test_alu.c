// with: hv/alu.c
// The hypervisor's arithmetic gives what this machine's own CPU gives, value and flags.
#include "hv/alu.h"

#include <stdio.h>

#define FLAGS 0x8d5UL                 // CF PF AF ZF SF OF
#define LOGIC_FLAGS (FLAGS & ~0x10UL) // AF is undefined after AND, OR, XOR

static int failures;

#define CPU_OP(name, insn, type)                                                                   \
    static u64 name(u64 a, u64 b, u64 *flags)                                                      \
    {                                                                                              \
        type r = a;                                                                                \
        asm("lea -128(%%rsp), %%rsp; push %1; popfq; " insn                                        \
            " %2, %0; pushfq; pop %1; lea 128(%%rsp), %%rsp"                                       \
            : "+r"(r), "+r"(*flags)                                                                \
            : "r"((type)b)                                                                         \
            : "cc");                                                                               \
        return r;                                                                                  \
    }
#define CPU_SIZES(op)                                                                              \
    CPU_OP(cpu_##op##1, #op "b", u8)                                                               \
    CPU_OP(cpu_##op##2, #op "w", u16)                                                              \
    CPU_OP(cpu_##op##4, #op "l", u32)                                                              \
    CPU_OP(cpu_##op##8, #op "q", u64)

CPU_SIZES(add)
CPU_SIZES(or)
CPU_SIZES(adc)
CPU_SIZES(sbb)
CPU_SIZES(and)
CPU_SIZES(sub)
CPU_SIZES(xor)

typedef u64 (*cpu_fn)(u64, u64, u64 *);
#define BY_SIZE(op)                                                                                \
    {                                                                                              \
        cpu_##op##1, cpu_##op##2, cpu_##op##4, cpu_##op##8                                         \
    }
static const cpu_fn cpu[][4] = {BY_SIZE(add), BY_SIZE(or),  BY_SIZE(adc), BY_SIZE(sbb),
                                BY_SIZE(and), BY_SIZE(sub), BY_SIZE(xor)};

static void check(enum alu_op op, int log2, u64 a, u64 b, u64 carry)
{
    bool logic = op == ALU_OR || op == ALU_AND || op == ALU_XOR;
    u64 mask = logic ? LOGIC_FLAGS : FLAGS, ours = 2 | carry, theirs = 2 | carry;
    u64 got = alu(op, a, b, 1u << log2, &ours), expected = cpu[op][log2](a, b, &theirs);

    if (got == expected && (ours & mask) == (theirs & mask))
        return;
    failures++;
    printf("op %d size %d %lx %lx carry %lu: expected %lx flags %lx, actual %lx flags %lx\n", op,
           1 << log2, a, b, carry, expected, theirs & mask, got, ours & mask);
}

int main(void)
{
    static const u64 values[] = {0,          1,         2,         0xf,    0x10,       0x7f,
                                 0x80,       0xff,      0x7fff,    0x8000, 0x7fffffff, 0x80000000,
                                 0xffffffff, ~0UL >> 1, 1UL << 63, ~0UL};

    for (int op = ALU_ADD; op <= ALU_XOR; op++) {
        for (int log2 = 0; log2 < 4; log2++) {
            for (unsigned i = 0; i < ARRAY_SIZE(values) * ARRAY_SIZE(values) * 2; i++)
                check(op, log2, values[i / 2 % 16], values[i / 32], i & 1);
        }
    }
    return failures != 0;
}
