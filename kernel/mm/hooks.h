// What mm needs from the task floor above it. Set once by the task floor before the first user
// task runs; until then there is no current address space.
#pragma once
#include "kernel/lib/types.h"

struct aspace;

struct mm_task_ops {
    // The current task's address space; NULL for kernel threads and idle.
    struct aspace *(*current_aspace)(void);
    // Delivers a fault of the current task (SIGSEGV, SIGBUS, or SIGKILL) with its si_code and
    // address.
    void (*fault_signal)(int sig, int code, vaddr_t addr);
    // True if the current task must end (SIGKILL or the end of its process).
    bool (*dying)(void);
    // Lets others run, so that one that was killed for its memory can end. Sleeps.
    void (*yield)(void);
    // For long loops: lets interrupts in and, if it is time, others run. Sleeps.
    void (*relax)(void);
};
extern const struct mm_task_ops *mm_task_ops;
