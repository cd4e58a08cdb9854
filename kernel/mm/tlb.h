// The few CPU accesses that mm makes, apart so that unit tests on the host can stand in for them.
#pragma once
#include "kernel/lib/types.h"
#if __STDC_HOSTED__
u32 tlb_this_cpu(void);
void tlb_flush_page(vaddr_t va);
void tlb_load(paddr_t pml4);
#else
#include "kernel/x86/cpu.h"
#include "kernel/x86/percpu.h"

static inline u32 tlb_this_cpu(void)
{
    return this_cpu()->id;
}

static inline void tlb_flush_page(vaddr_t va)
{
    invlpg(va);
}

static inline void tlb_load(paddr_t pml4)
{
    write_cr3(pml4);
}
#endif
