// Bookkeeping of the areas of an address space: which part of it is what. Knows nothing of page
// tables. For kernel/mm only; kernel lock held, never sleeps.
#pragma once
#include "kernel/mm/aspace.h"

#define AREA_MAX 65530       // areas in one address space, as Linux's vm.max_map_count
#define MAP_LOWEST 0x10000UL // nothing is mapped below: a null pointer with an offset faults

// The first area that ends after va, or NULL.
struct area *area_after(struct aspace *as, vaddr_t va);
// The areas before and after, or NULL.
struct area *area_prev(const struct area *a);
struct area *area_next(const struct area *a);

// A new area outside any address space, with references to object and file; NULL without memory.
struct area *area_create(vaddr_t start, vaddr_t end, const struct area *like);
// Gives up the references and frees an area that is in no address space. May sleep (files).
void area_free(struct area *a);
// Puts it into an address space where nothing overlaps it.
void area_insert(struct aspace *as, struct area *a);
void area_remove(struct area *a);

// Cuts the area that contains `va` in two there, if one does and va is not its start. 0 or -ENOMEM.
int area_split(struct aspace *as, vaddr_t va);
// Joins `a` with its next area where they touch and are alike. Returns the area that `a` is in now.
struct area *area_merge_next(struct area *a);
// Joins neighbours in and around [start, end) where they can be.
void area_merge_range(struct aspace *as, vaddr_t start, vaddr_t end);

// Finds `len` free bytes below as->mmap_base, the highest there are (2 MiB and more: on a multiple
// of 2 MiB where the gap allows it); above it if there are none. 0 if there is no room.
vaddr_t area_find_gap(struct aspace *as, u64 len);
// True if `more` bytes can be added under the limit of the address space's size.
bool area_room_for(struct aspace *as, u64 more);
// True if no area overlaps [start, end).
bool area_range_free(struct aspace *as, vaddr_t start, vaddr_t end);
