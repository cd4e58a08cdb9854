// The exception table: kernel instructions that may fault on a user address, and where to go on
// then.
//
// In assembly or asm(): EX_TABLE(instruction label, fix-up label). A fault at the instruction that
// page_fault() cannot resolve calls trap_fixup() (trap.h), which moves the frame's RIP to the
// fix-up; registers are as at the fault.
#pragma once

#ifdef __ASSEMBLER__
#define EX_TABLE(insn, fixup)                                                                      \
    .pushsection __ex_table, "a";                                                                  \
    .balign 8;                                                                                     \
    .quad insn, fixup;                                                                             \
    .popsection
#else
#define EX_TABLE(insn, fixup)                                                                      \
    ".pushsection __ex_table, \"a\"; .balign 8; .quad " insn ", " fixup "; .popsection\n"
#endif
