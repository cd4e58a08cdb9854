// Building and changing page tables: mapping frames at virtual addresses. The tables' own frames are charged to a cgroup.
// The caller flushes TLBs (paging.h) after it has made an entry weaker.
#pragma once
#include "kernel/lib/types.h"
#include "kernel/x86/paging.h"

struct cgroup;

// A new PML4 with the kernel's upper half; 0 if there is no memory.
paddr_t pagetable_create(struct cgroup *cg);
// Frees the tables of the lower half (not what they map) and the PML4.
void pagetable_destroy(paddr_t pml4);
// The level-1 entry of va; with `cg` given missing tables are made (NULL: out of memory). Without: NULL where a table is missing.
pte_t *pagetable_walk(paddr_t pml4, vaddr_t va, bool create, struct cgroup *cg);
