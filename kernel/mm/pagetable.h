// Building and changing page tables: mapping frames at virtual addresses. The tables' own frames
// are charged to a cgroup. SDM volume 3A, 4.5.
//
// Kernel lock held; nothing here sleeps. The caller flushes TLBs (paging.h) after it has made an
// entry weaker, before it gives up the lock or allocates: until then other CPUs may still use what
// the old entry (or a freed table) said.
#pragma once
#include "kernel/lib/types.h"
#include "kernel/x86/paging.h"

struct cgroup;

#define PT_SPAN 0x200000UL // what one level-1 table maps
#define PT_SPAN_ORDER 9    // of a block of frames of that size

// A new PML4 with the kernel's upper half; 0 if there is no memory.
paddr_t pagetable_create(struct cgroup *cg);
// Frees the tables of the lower half (not what they map) and the PML4.
void pagetable_destroy(paddr_t pml4);
// The level-1 entry of va. With `create` missing tables are made, charged to cg (NULL: out of
// memory). Without: NULL where a table is missing.
pte_t *pagetable_walk(paddr_t pml4, vaddr_t va, bool create, struct cgroup *cg);
// The level-1 entry of the first address from *va on, below `end`, whose table exists: moves *va
// there. NULL if there is none. Entries up to the next multiple of PT_SPAN follow it in memory.
pte_t *pagetable_next(paddr_t pml4, vaddr_t *va, vaddr_t end);
// Frees the tables that map nothing outside [start, end); the caller has cleared their entries.
// `start` and `end` are the ends of the neighbours that are still in use.
void pagetable_trim(paddr_t pml4, vaddr_t start, vaddr_t end);
