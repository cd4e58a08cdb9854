// Physical memory in frames of 4 KiB: a buddy allocator, a reference count a frame, and the cgroup that pays for it.
//
// Everything here is called with the kernel lock held and never sleeps.
#pragma once
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/x86/paging.h"

struct cgroup;

#define FRAME_MAX_ORDER 10 // 4 MiB

#define FRAME_ZERO 1u // cleared

struct page { // one a frame, in an array indexed by frame number
    u32 refs;             // 0: free
    u8 order;             // of the block that this frame heads
    u8 flags;
    u16 slab_class;       // slab.c
    struct cgroup *cgroup; // who is charged, NULL if nobody
    union {
        struct list free_link; // frame.c: in a free list
        struct {
            void *slab_free;   // slab.c
            u32 slab_used;
        };
        u64 private;           // the owner's
    };
};

// Gives the usable RAM (boot_info) but the kernel, the modules and the frame array to the allocator.
void frame_init(void);
// A block of 2^order frames with one reference, aligned to its size; NULL if there is none.
struct page *frame_alloc(unsigned order, unsigned flags);
// As frame_alloc(0, flags), charged to cg (and its ancestors). Over a limit it runs the cgroup's OOM kill (mm/oom.h); NULL then too.
struct page *frame_alloc_charged(struct cgroup *cg, unsigned flags);
void page_get(struct page *p);
// Drops a reference; with the last one the frame is uncharged and free.
void page_put(struct page *p);

struct page *phys_to_page(paddr_t pa); // NULL if pa is not RAM known to the allocator
paddr_t page_to_phys(const struct page *p);
static inline void *page_to_virt(const struct page *p)
{
    return phys_to_virt(page_to_phys(p));
}
static inline struct page *virt_to_page(const void *va)
{
    return phys_to_page(virt_to_phys(va));
}

u64 frame_total(void);      // frames under management
u64 frame_free_count(void); // of these, free
