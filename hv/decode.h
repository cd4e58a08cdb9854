// A decoder of the instructions that the hypervisor must understand: those that touch MMIO or are
// longer than the CPU says. Pure: bytes in, meaning out. Compiled on the host for unit tests. SDM
// 2, chapter 2.
#pragma once
#include "kernel/lib/types.h"

#define INSN_MAX 15

enum decoded_op {
    OP_OTHER,   // only the length is known
    OP_LOAD,    // reg = [mem], `extend` tells how a narrower value is widened
    OP_STORE,   // [mem] = reg or immediate
    OP_STOS,    // stores rAX at ES:rDI
    OP_MOVS,    // [ES:rDI] = [segment:rSI]
    OP_LODS,    // rAX = [segment:rSI]
    OP_CMPS,    // flags of [segment:rSI] - [ES:rDI]
    OP_SCAS,    // flags of rAX - [ES:rDI]
    OP_XCHG,    // reg = [mem] and [mem] = reg
    OP_XADD,    // the same, but [mem] = [mem] + reg
    OP_CMPXCHG, // flags of rAX - [mem]; [mem] = reg if they are equal, else rAX = [mem]
    OP_NOT,
    OP_NEG,
    OP_BT,   // CF = the bit of [mem] that the source names
    OP_BITS, // and sets it (alu 1), clears it (2), turns it (3)
    OP_INC,  // [mem] = [mem] + 1, CF kept
    OP_DEC,
    OP_ALU_MEM, // [mem] = [mem] op source
    OP_ALU_REG, // reg = reg op [mem]
    OP_CMP,     // flags of [mem] - source (either order)
    OP_TEST,
};

struct decoded {
    u8 length;
    u8 prefixes; // bytes before the opcode
    enum decoded_op op;
    u8 alu;      // ADD OR ADC SBB AND SUB XOR CMP, as in the opcode map
    u8 size;     // of the memory operand, bytes
    u8 reg_size; // of the register that is loaded
    bool sign_extend, immediate, rep, repne, lock, mem_first;
    bool high_byte; // AH, CH, DH, BH
    u8 reg;
    u64 imm;
    u8 segment; // override: 0-5 in encoding order, 0xff none
    u8 address_size, operand_size;
    u8 mode; // 16, 32 or 64
};

// Decodes the instruction at bytes for a code segment of `mode` bits. False if it is not known or
// does not fit in n bytes.
bool decode(const u8 *bytes, unsigned n, unsigned mode, struct decoded *d);
