// The format of x86-64 page tables (SDM 3A, 4.5), the direct map, and TLB flushes. Building tables
// is mm's (pagetable.h).
#pragma once
#include "kernel/lib/types.h"

#define KERNEL_BASE 0xffffffff80000000UL
#if __STDC_HOSTED__
#define DIRECT_MAP 0x0000200000000000UL // unit tests put their make-believe RAM here
#else
#define DIRECT_MAP 0xffff888000000000UL
#endif
#define USER_END 0x00007ffffffff000UL // first address that user space may not use

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7) // level 2, 3: a large page
#define PTE_G BIT(8)
#define PTE_COW BIT(9) // software: shared until written
#define PTE_NX BIT(63)
#define PTE_ADDR 0x000ffffffffff000UL

typedef u64 pte_t;

static inline unsigned pt_index(vaddr_t va, int level) // level 1 (PT) .. 4 (PML4)
{
    return (va >> (12 + 9 * (level - 1))) & 511;
}

static inline void *phys_to_virt(paddr_t pa)
{
    return (void *)(pa + DIRECT_MAP);
}

// For addresses of the direct map and of the kernel image.
static inline paddr_t virt_to_phys(const void *va)
{
    u64 v = (u64)va;
    return v >= KERNEL_BASE ? v - KERNEL_BASE : v - DIRECT_MAP;
}

// Builds the kernel's tables from boot_info and goes over to them; drops from boot_info RAM that
// they cannot reach. Boot CPU, once.
void paging_init(void);

// Bytes of physical memory from 0 on that the direct map covers.
u64 direct_map_size(void);

// Maps device registers uncached; `size` bytes from `pa`. Never unmapped.
void *mmio_map(paddr_t pa, size_t size);

// The kernel's own PML4; its upper half is copied into every address space.
paddr_t kernel_pml4(void);

// Flushes the TLB of this CPU (all non-global entries).
void tlb_flush_local(void);
// Flushes the TLBs of all CPUs in the mask (bit n = CPU n) that are not this one, waits until they
// have done it, and flushes this one too if its bit is set. For guests' nested translations see hv.
void tlb_shootdown(u64 cpu_mask);
