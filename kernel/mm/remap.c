// mremap(2) and madvise(2).
#include <linux/mman.h>
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/area.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/pagetable.h"
#include "kernel/mm/zap.h"

// Moves the entries of [from, from + len) to `to`. 0 or -ENOMEM; then those moved so far are moved
// back by the caller doing the same the other way round.
static int move_entries(struct aspace *as, vaddr_t from, vaddr_t to, u64 len)
{
    pte_t *pte;
    vaddr_t end = from + len;
    for (vaddr_t va = from; (pte = pagetable_next(as->pml4, &va, end));) {
        vaddr_t stop = min(end, ALIGN_DOWN(va, PT_SPAN) + PT_SPAN);
        for (; va < stop; va += PAGE_SIZE, pte++) {
            if (!*pte)
                continue;
            pte_t *new = pagetable_walk(as->pml4, to + (va - from), true, as->cgroup);
            if (!new)
                return -ENOMEM;
            *new = *pte;
            *pte = 0;
        }
    }
    return 0;
}

// Moves [old, old + old_len) of area `a` to a place of new_len bytes. The address or -errno.
static long move_area(struct aspace *as, struct area *a, vaddr_t old, u64 old_len, u64 new_len,
                      u32 flags, vaddr_t new_addr)
{
    struct area like = *a;
    like.offset += a->object ? (old - a->start) >> PAGE_SHIFT : 0;
    like.flags &= ~(u32)MAP_GROWSDOWN;
    vaddr_t to = flags & MREMAP_FIXED ? new_addr : area_find_gap(as, new_len);
    if (!to)
        return -ENOMEM;
    struct area *moved = area_create(to, to + new_len, &like);
    if (!moved)
        return -ENOMEM;
    int err = flags & MREMAP_FIXED ? aspace_unmap(as, to, new_len) : 0;
    if (err) {
        area_free(moved);
        return err;
    }
    u64 kept = min(old_len, new_len);
    aspace_invalidate(as, old, old + old_len);
    area_insert(as, moved);
    err = move_entries(as, old, to, kept);
    if (err)
        move_entries(as, to, old, kept);
    tlb_flush_range(as, old, old + old_len);
    if (err || !(flags & MREMAP_DONTUNMAP))
        aspace_unmap(as, err ? to : old, err ? new_len : old_len);
    return err ? err : (long)to;
}

static bool can_grow(struct aspace *as, const struct area *a, vaddr_t old_end, vaddr_t new_end)
{
    return a->end == old_end && new_end <= USER_END && area_range_free(as, old_end, new_end);
}

long aspace_remap(struct aspace *as, vaddr_t old, u64 old_len, u64 new_len, u32 flags,
                  vaddr_t new_addr)
{
    old_len = ALIGN_UP(old_len, PAGE_SIZE);
    new_len = ALIGN_UP(new_len, PAGE_SIZE);
    if (old & ~PAGE_MASK || new_len == 0 || old_len == 0 || new_len > USER_END ||
        flags & ~(u32)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
        return -EINVAL;
    if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE))
        return -EINVAL;
    if (flags & MREMAP_DONTUNMAP && old_len != new_len)
        return -EINVAL;
    struct area *a = aspace_find(as, old);
    if (!a || old_len > a->end - old)
        return -EFAULT;
    if (flags & MREMAP_FIXED) {
        if (new_addr & ~PAGE_MASK || new_addr > USER_END - new_len || new_addr == 0 ||
            (new_addr < old + old_len && old < new_addr + new_len))
            return -EINVAL;
        return move_area(as, a, old, old_len, new_len, flags, new_addr);
    }
    if (flags & MREMAP_DONTUNMAP)
        return move_area(as, a, old, old_len, new_len, flags, 0);
    if (new_len <= old_len) {
        int err = new_len < old_len ? aspace_unmap(as, old + new_len, old_len - new_len) : 0;
        return err ? err : (long)old;
    }
    if (!area_room_for(as, new_len - old_len))
        return -ENOMEM;
    if (can_grow(as, a, old + old_len, old + new_len)) {
        a->end = old + new_len;
        as->generation++;
        return old;
    }
    return flags & MREMAP_MAYMOVE ? move_area(as, a, old, old_len, new_len, flags, 0) : -ENOMEM;
}

static int set_flag(struct aspace *as, struct area *a, vaddr_t start, vaddr_t end, u32 flag,
                    bool on)
{
    vaddr_t from = max(start, a->start), to = min(end, a->end);
    if (area_split(as, from) != 0 || area_split(as, to) != 0)
        return -ENOMEM;
    a = aspace_find(as, from);
    a->flags = on ? a->flags | flag : a->flags & ~flag;
    return 0;
}

static int advise_area(struct aspace *as, struct area *a, vaddr_t start, vaddr_t end, int advice)
{
    switch (advice) {
    case MADV_DONTNEED:
        zap_range(as, max(start, a->start), min(end, a->end));
        return 0;
    case MADV_DONTFORK:
    case MADV_DOFORK:
        return set_flag(as, a, start, end, AREA_DONTFORK, advice == MADV_DONTFORK);
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
        return set_flag(as, a, start, end, AREA_HUGEPAGE, advice == MADV_HUGEPAGE);
    default:
        return 0;
    }
}

static bool advice_known(int advice)
{
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_DONTNEED:
    case MADV_FREE:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_MERGEABLE:
    case MADV_UNMERGEABLE:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_COLD:
    case MADV_PAGEOUT:
        return true;
    default:
        return false;
    }
}

int aspace_advise(struct aspace *as, vaddr_t start, u64 len, int advice)
{
    len = ALIGN_UP(len, PAGE_SIZE);
    if (!advice_known(advice) || start & ~PAGE_MASK || len > USER_END || start > USER_END - len)
        return -EINVAL;
    vaddr_t end = start + len, at = start;
    int err = 0;
    bool hole = false;
    struct area *a;
    while (!err && at < end && (a = area_after(as, at)) && a->start < end) {
        hole |= a->start > at;
        at = a->end;
        err = advise_area(as, a, start, end, advice);
    }
    return err ? err : hole || at < end ? -ENOMEM : 0;
}
