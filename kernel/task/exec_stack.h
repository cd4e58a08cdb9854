// The stack that a new program finds.
#pragma once
#include "kernel/task/elf.h"

struct stack_request {
    const struct exec_args *args;
    const char *path; // AT_EXECFN
    const struct elf_image *program;
    const struct elf_image *interpreter; // NULL: none
    u32 euid, egid;                      // kernel ids that the program will have
};

// Maps the stack and fills it; *sp is where argc lies. 0 or -ENOMEM.
int exec_stack_build(struct aspace *as, const struct stack_request *r, u64 *sp);
