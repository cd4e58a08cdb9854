// Changing what an address space consists of: mmap(2), munmap(2), mprotect(2), brk(2).
// mremap(2) and madvise(2) are in remap.c.
#include <linux/mman.h>
#include "container/cgroup/cgroup.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/area.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/hooks.h"
#include "kernel/mm/pagetable.h"
#include "kernel/mm/vmobject.h"
#include "kernel/mm/zap.h"
#include "kernel/x86/trap.h"

#define RELAX_BYTES 0x100000UL // made present between chances for others
#define KEPT_FLAGS (MAP_SHARED | MAP_PRIVATE | MAP_GROWSDOWN | AREA_DENY_WRITE)

// True if [start, start + len) is a page-aligned, non-empty range of user space.
static bool range_ok(vaddr_t start, u64 len)
{
    return !(start & ~PAGE_MASK) && !(len & ~PAGE_MASK) && len > 0 && len <= USER_END &&
           start <= USER_END - len;
}

// Chooses the address of a new mapping: the address or -errno.
static long place(struct aspace *as, vaddr_t hint, u64 len, u32 flags)
{
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (hint & ~PAGE_MASK)
            return -EINVAL;
        if (hint > USER_END - len)
            return -ENOMEM;
        if (hint < MAP_LOWEST)
            return -EPERM;
        if (flags & MAP_FIXED_NOREPLACE && !area_range_free(as, hint, hint + len))
            return -EEXIST;
        return hint;
    }
    hint = ALIGN_UP(hint, PAGE_SIZE);
    if (hint >= MAP_LOWEST && hint <= USER_END - len && area_range_free(as, hint, hint + len))
        return hint;
    vaddr_t at = area_find_gap(as, len);
    return at ? (long)at : -ENOMEM;
}

int aspace_populate(struct aspace *as, vaddr_t start, u64 len, bool write)
{
    u32 access = PF_USER | (write ? PF_WRITE : 0);
    for (vaddr_t va = start; va < start + len; va += PAGE_SIZE) {
        int err = aspace_fault(as, va, access);
        if (err)
            return err;
        if (!mm_task_ops || (va - start) % RELAX_BYTES)
            continue;
        mm_task_ops->relax();
        if (mm_task_ops->dying())
            return -EINTR;
    }
    return 0;
}

long aspace_map(struct aspace *as, vaddr_t hint, u64 len, u32 prot, u32 flags,
                struct vmobject *object, u64 page_offset, void *file, const char *name)
{
    if (len == 0)
        return -EINVAL;
    len = ALIGN_UP(len, PAGE_SIZE);
    if (len == 0 || len > USER_END)
        return -ENOMEM;
    if (object && page_offset + (len >> PAGE_SHIFT) < page_offset)
        return -EOVERFLOW;
    bool pays = !(flags & MAP_SHARED) && prot & PROT_WRITE && !(flags & MAP_NORESERVE);
    if (pays && len >> PAGE_SHIFT > frame_total())
        return -ENOMEM;
    long at = place(as, hint, len, flags);
    if (at < 0)
        return at;
    if (as->area_count >= AREA_MAX || !area_room_for(as, len))
        return -ENOMEM;
    struct area like = {.prot = prot,
                        .flags = flags & KEPT_FLAGS,
                        .object = object,
                        .offset = object ? page_offset : 0,
                        .file = file};
    if (name)
        memcpy(like.name, name, strnlen(name, sizeof(like.name) - 1));
    struct area *a = area_create(at, at + len, &like);
    if (!a)
        return -ENOMEM;
    int err = flags & MAP_FIXED ? aspace_unmap(as, at, len) : 0;
    if (err) {
        area_free(a);
        return err;
    }
    area_insert(as, a);
    area_merge_range(as, at, at + len);
    if (flags & (MAP_POPULATE | MAP_LOCKED))
        aspace_populate(as, at, len, prot & PROT_WRITE);
    return at;
}

// Gives back the level-1 tables that no area needs any more, around the hole that contains [start,
// end).
static void trim_tables(struct aspace *as, vaddr_t start, vaddr_t end)
{
    struct area *next = area_after(as, start);
    struct area *prev = next                     ? area_prev(next)
                        : list_empty(&as->areas) ? NULL
                                                 : list_last(&as->areas, struct area, link);
    vaddr_t low = ALIGN_DOWN(start, PT_SPAN), high = ALIGN_UP(end, PT_SPAN);
    if (prev && prev->end > low)
        low = ALIGN_UP(prev->end, PT_SPAN);
    if (next && next->start < high)
        high = ALIGN_DOWN(next->start, PT_SPAN);
    if (low < high)
        pagetable_trim(as->pml4, low, high);
}

int aspace_unmap(struct aspace *as, vaddr_t start, u64 len)
{
    len = ALIGN_UP(len, PAGE_SIZE);
    if (!range_ok(start, len))
        return -EINVAL;
    vaddr_t end = start + len;
    struct area *a = area_after(as, start);
    if (!a || a->start >= end)
        return 0;
    if (area_split(as, start) != 0 || area_split(as, end) != 0)
        return -ENOMEM;
    struct list gone;
    list_init(&gone);
    aspace_invalidate(as, start, end);
    while ((a = area_after(as, start)) && a->start < end) {
        zap_entries(as, a->start, a->end);
        area_remove(a);
        list_append(&gone, &a->link);
    }
    trim_tables(as, start, end);
    tlb_flush_range(as, start, end);
    while (!list_empty(&gone)) {
        a = list_first(&gone, struct area, link);
        list_remove(&a->link);
        area_free(a);
    }
    return 0;
}

// The entry for an area's rights: as `entry`, but never with more write access than it had.
static pte_t with_prot(pte_t entry, u32 prot)
{
    pte_t bits = 0;
    if (prot & (PROT_READ | PROT_WRITE | PROT_EXEC))
        bits |= PTE_P;
    if (!(prot & PROT_EXEC))
        bits |= PTE_NX;
    if (prot & PROT_WRITE)
        bits |= entry & PTE_W;
    return (entry & ~(u64)(PTE_P | PTE_W | PTE_NX)) | bits;
}

static void protect_entries(struct aspace *as, vaddr_t start, vaddr_t end, u32 prot)
{
    pte_t *pte;
    for (vaddr_t va = start; (pte = pagetable_next(as->pml4, &va, end));) {
        vaddr_t stop = min(end, ALIGN_DOWN(va, PT_SPAN) + PT_SPAN);
        for (; va < stop; va += PAGE_SIZE, pte++)
            if (*pte)
                *pte = with_prot(*pte, prot);
    }
}

static int protect_area(struct aspace *as, struct area *a, u32 prot)
{
    if (prot & PROT_WRITE && a->flags & AREA_DENY_WRITE)
        return -EACCES;
    if (a->prot == prot)
        return 0;
    aspace_invalidate(as, a->start, a->end);
    protect_entries(as, a->start, a->end, prot);
    a->prot = prot;
    as->generation++;
    return 0;
}

int aspace_protect(struct aspace *as, vaddr_t start, u64 len, u32 prot)
{
    if (start & ~PAGE_MASK)
        return -EINVAL;
    if (len == 0)
        return 0;
    len = ALIGN_UP(len, PAGE_SIZE);
    if (!range_ok(start, len))
        return -ENOMEM;
    vaddr_t end = start + len, at = start;
    struct area *a = area_after(as, start);
    if (!a || a->start > start)
        return -ENOMEM;
    if (area_split(as, start) != 0 || area_split(as, end) != 0)
        return -ENOMEM;
    int err = 0;
    while (!err && at < end) {
        a = aspace_find(as, at);
        err = a ? protect_area(as, a, prot) : -ENOMEM;
        at = a ? a->end : end;
    }
    tlb_flush_range(as, start, end);
    area_merge_range(as, start, end);
    return err;
}

vaddr_t aspace_brk(struct aspace *as, vaddr_t brk)
{
    if (brk < as->brk_start || brk >= USER_END)
        return as->brk;
    vaddr_t old = ALIGN_UP(as->brk, PAGE_SIZE), new = ALIGN_UP(brk, PAGE_SIZE);
    if (new < old && aspace_unmap(as, new, old - new) != 0)
        return as->brk;
    if (new > old) {
        struct area *above = area_after(as, old);
        if (above && new + PAGE_SIZE > above->start)
            return as->brk;
        long at =
            aspace_map(as, old, new - old, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, NULL, 0, NULL, "[heap]");
        if (at < 0)
            return as->brk;
    }
    return as->brk = brk;
}
