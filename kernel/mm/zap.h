// Taking pages out of address spaces, and the TLB flushes that go with it. For kernel/mm only.
#pragma once
#include "kernel/mm/aspace.h"

// Makes no CPU use old entries of [start, end) of `as` any more. Must come before the lock is
// given up or memory is allocated after entries were made weaker.
void tlb_flush_range(struct aspace *as, vaddr_t start, vaddr_t end);
// Tells the watchers that pages of the range are about to change.
void aspace_invalidate(struct aspace *as, vaddr_t start, vaddr_t end);
// Clears the entries of the range and drops the references to their pages. Calls neither watchers
// nor flush.
void zap_entries(struct aspace *as, vaddr_t start, vaddr_t end);
// All three: watchers, entries, flush.
void zap_range(struct aspace *as, vaddr_t start, vaddr_t end);
