#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * Writes random instructions: random numbers, operands, and the bytes that encode them.
 */

enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, DATA = 512 };

extern uint8_t *at;             /* where the next byte goes */
extern uint32_t seed;           /* of all that is random */
extern uint32_t data[DATA / 4]; /* what the instructions work on */

uint32_t any(uint32_t below);
uint32_t word(void);              /* any number, often one at the edge of a range */
unsigned reg(void);               /* a register that is not ESP */
unsigned data_reg(unsigned size); /* the same; AH to BH too for bytes */
unsigned choose_size(void);       /* 1, 2, 4 */
uint32_t place(void);             /* an address in data, with room on both sides */

void byte(uint32_t b);
void number(uint32_t value, unsigned size);
/* MOV r, value */
void load(unsigned r, uint32_t value);
/* Prefix and opcode; 0x100 + the second byte for those that begin with 0x0f. */
void opcode(unsigned op, unsigned size);

/* ModRM's operand. The registers of its address have got values that fit. */
struct operand {
    uint8_t mod, rm, base, index, scale;
    uint32_t disp;
};
struct operand memory_operand(void);
/* Memory or a register; byte_regs: AH to BH too. */
struct operand operand(bool byte_regs);
void modrm(unsigned field, const struct operand *o);

/* An instruction that leaves a flag undefined is followed by one that uses what is defined and sets
 * all. */
enum after { ALL_DEFINED, CARRY_DEFINED, ZERO_DEFINED, NONE_DEFINED };
void settle(enum after after);
