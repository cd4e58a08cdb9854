// Physical memory in frames of 4 KiB: a buddy allocator, a reference count a frame, and the cgroup
// that pays for it.
//
// Everything here is called with the kernel lock held and never sleeps.
#pragma once
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/x86/log.h"
#include "kernel/x86/paging.h"

struct cgroup;

#define FRAME_MAX_ORDER 10 // 4 MiB

#define FRAME_ZERO 1u // cleared

#define PAGE_RAM 1u          // page.flags: under management
#define PAGE_FREE 2u         // heads a block in a free list
#define PAGE_SLAB 4u         // cut into small objects by slab.c
#define PAGE_SLAB_CHARGED 8u // and each object ends with a pointer to the cgroup that pays for it

struct page { // one a frame, in an array indexed by frame number
    u32 refs; // 0: free
    u8 order; // of the block that this frame heads
    u8 flags; // PAGE_*
    u8 slab_class;
    u8 reserved;
    union {
        struct cgroup *cgroup; // who is charged, NULL if nobody
        void *slab_free;       // slab.c: first free object
    };
    union {
        struct list free_link; // frame.c: in a free list
        struct list slab_link; // slab.c: in the list of slabs with free objects
        u64 private;           // the owner's
    };
};

// Gives the usable RAM (boot_info) but the low 1 MiB, the kernel, the modules and the frame array
// to the allocator.
void frame_init(void);
// Gives frames that frame_init left out to the allocator: modules that are no longer needed.
// Rounds inwards to whole frames.
void frame_release_range(paddr_t start, paddr_t end);
// A block of 2^order frames with one reference, aligned to its size; NULL if there is none.
struct page *frame_alloc(unsigned order, unsigned flags);
// As frame_alloc(0, flags), charged to cg (and its ancestors; NULL: to nobody). Over a limit, or
// where there is no memory at all, it runs the OOM kill (mm/oom.h) and returns NULL.
struct page *frame_alloc_charged(struct cgroup *cg, unsigned flags);
// A block of 2^order cleared frames charged to cg, each with a reference of its own and to be put
// one by one. NULL where there is none, a limit forbids it, or memory is short: nobody is killed
// for it.
struct page *frame_alloc_run(unsigned order, struct cgroup *cg);
// Charges a block that nobody pays for yet to cg until it is freed; false where a limit forbids it.
bool page_charge(struct page *p, struct cgroup *cg);
static inline struct page *page_get(struct page *p)
{
    p->refs++;
    return p;
}
void page_free(struct page *p); // page_put's: nobody has a reference
// Drops a reference; with the last one the block is uncharged and free.
static inline void page_put(struct page *p)
{
    assert(p->refs > 0);
    if (--p->refs == 0)
        page_free(p);
}

extern struct page *frame_array; // by frame number
extern u64 frame_array_size;

// NULL if pa is not RAM known to the allocator.
static inline struct page *phys_to_page(paddr_t pa)
{
    u64 n = pa >> PAGE_SHIFT;
    return n < frame_array_size && frame_array[n].flags & PAGE_RAM ? &frame_array[n] : NULL;
}
static inline paddr_t page_to_phys(const struct page *p)
{
    return (u64)(p - frame_array) << PAGE_SHIFT;
}
static inline void *page_to_virt(const struct page *p)
{
    return phys_to_virt(page_to_phys(p));
}
static inline struct page *virt_to_page(const void *va)
{
    return phys_to_page(virt_to_phys(va));
}

// The frame of zeros that stands for memory not written yet. It is never freed or written.
struct page *zero_page(void);

u64 frame_total(void);      // frames under management
u64 frame_free_count(void); // of these, free
