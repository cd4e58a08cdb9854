// The eight arithmetic operations of the opcode map with their flags (SDM 1, 3.4.3.1), for
// instructions that the hypervisor finishes for a guest. Pure; compiled on the host for unit tests.
#pragma once
#include "kernel/lib/types.h"

enum alu_op { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

// a op b on `size` bytes (1, 2, 4, 8); changes CF PF AF ZF SF OF in *rflags. For ALU_CMP the result
// is a - b.
u64 alu(enum alu_op op, u64 a, u64 b, unsigned size, u64 *rflags);
