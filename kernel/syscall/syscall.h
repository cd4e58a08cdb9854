// Prototypes of all system calls, sys_NAME, made from the table. Each takes user pointers as they
// came and returns a value or -errno. A call that is in the table and not written is a weak
// reference: the dispatcher answers ENOSYS.
#pragma once
#include "kernel/lib/types.h"

// The parameters of the table, "void" where there are none.
#define PARAMETERS(...) PARAMETERS_OF##__VA_OPT__(_SOME)(__VA_ARGS__)
#define PARAMETERS_OF() void
#define PARAMETERS_OF_SOME(...) __VA_ARGS__

#define SYSCALL(number, name, tier, ...)                                                           \
    long sys_##name(PARAMETERS(__VA_ARGS__)) __attribute__((weak));
#include "kernel/syscall/table.h"
#undef SYSCALL

#define SYSCALL_MAX 512

// Turns on the strace-like trace (viv.trace=syscalls).
void syscall_init(void);
