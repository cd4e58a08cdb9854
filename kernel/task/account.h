// System time: what passes between an entry to the kernel and the exit to user or guest mode, on
// the TSC.
#pragma once
#include "kernel/task/task.h"
#include "kernel/x86/cpu.h"

static inline void account_kernel_entry(void)
{
    this_cpu()->entry_tsc = rdtsc();
}

static inline void account_kernel_exit(void)
{
    struct percpu *cpu = this_cpu();

    if (cpu->entry_tsc)
        cpu->current->system_tsc += rdtsc() - cpu->entry_tsc;
    cpu->entry_tsc = 0;
}
