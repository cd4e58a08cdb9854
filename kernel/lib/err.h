// Errors carried in pointers: an ERR_PTR holds a negative errno in the last page of addresses.
#pragma once
#include <linux/errno.h>
#include "kernel/lib/types.h"

// Kernel-only results of an interrupted system call; never seen by user space (signal.c turns them
// into EINTR or a restart).
#define ERESTARTSYS 512           // restart if the handler has SA_RESTART or there is no handler
#define ERESTARTNOHAND 514        // restart only if there is no handler
#define ERESTART_RESTARTBLOCK 516 // restart through restart_syscall(2)

static inline void *ERR_PTR(long error)
{
    return (void *)error;
}

static inline long PTR_ERR(const void *ptr)
{
    return (long)ptr;
}

static inline bool IS_ERR(const void *ptr)
{
    return (unsigned long)ptr >= (unsigned long)-4095;
}
