// Address spaces as a whole: birth, death, fork, switching, and access from outside.
//
// An entry of a page table that is not 0 holds a reference to its page, whether it is present or
// (PROT_NONE) not. Private pages that more than one address space may hold are mapped read-only;
// a write to them copies (fault.c). The kernel lock guards everything.
#include "kernel/mm/aspace.h"
#include <linux/mman.h>
#include "container/cgroup/cgroup.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/area.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/pagetable.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/tlb.h"
#include "kernel/mm/vmobject.h"
#include "kernel/mm/zap.h"
#include "kernel/x86/log.h"

#define DEFAULT_STACK_LIMIT (8UL << 20)
#define DEFAULT_MMAP_BASE (USER_END - (256UL << 20))

struct aspace *aspace_create(struct cgroup *cg)
{
    struct aspace *as = kzalloc_charged(sizeof(*as));
    if (!as)
        return ERR_PTR(-ENOMEM);
    as->pml4 = pagetable_create(cg);
    if (!as->pml4) {
        kfree(as);
        return ERR_PTR(-ENOMEM);
    }
    as->refs = 1;
    as->cgroup = cg ? cgroup_get(cg) : NULL;
    as->stack_limit = DEFAULT_STACK_LIMIT;
    as->size_limit = UINT64_MAX;
    as->mmap_base = DEFAULT_MMAP_BASE;
    list_init(&as->areas);
    list_init(&as->watchers);
    return as;
}

static void release_watchers(struct aspace *as)
{
    while (!list_empty(&as->watchers)) {
        struct aspace_watcher *w = list_first(&as->watchers, struct aspace_watcher, link);
        list_remove(&w->link);
        if (w->release)
            w->release(w);
    }
}

void aspace_put(struct aspace *as)
{
    assert(as->refs > 0);
    if (as->refs > 1) {
        as->refs--;
        return;
    }
    if (as->cpu_mask & BIT(tlb_this_cpu()))
        aspace_switch(as, NULL);
    assert(!as->cpu_mask);
    aspace_invalidate(as, 0, USER_END);
    release_watchers(as);
    while (!list_empty(&as->areas)) {
        struct area *a = list_first(&as->areas, struct area, link);
        zap_entries(as, a->start, a->end);
        area_remove(a);
        area_free(a);
    }
    pagetable_destroy(as->pml4);
    if (as->exe && area_file_ops)
        area_file_ops->put(as->exe);
    if (as->cgroup)
        cgroup_put(as->cgroup);
    kfree(as);
}

void aspace_set_cgroup(struct aspace *as, struct cgroup *cg)
{
    struct cgroup *old = as->cgroup;
    as->cgroup = cg ? cgroup_get(cg) : NULL;
    if (old)
        cgroup_put(old);
}

void aspace_switch(struct aspace *from, struct aspace *to)
{
    if (from == to)
        return;
    u64 self = BIT(tlb_this_cpu());
    if (from)
        from->cpu_mask &= ~self;
    if (to)
        to->cpu_mask |= self;
    tlb_load(to ? to->pml4 : kernel_pml4());
}

void aspace_watch(struct aspace *as, struct aspace_watcher *w)
{
    list_push(&as->watchers, &w->link);
}

void aspace_unwatch(struct aspace *as, struct aspace_watcher *w)
{
    list_remove(&w->link);
}

u64 aspace_virtual_size(struct aspace *as)
{
    u64 size = 0;
    struct area *a;
    list_for_each (a, &as->areas, link)
        size += a->end - a->start;
    return size;
}

// Shares the pages of one level-1 table's entries [from, to) with the child; both sides lose write
// access.
static void share_entries(struct aspace *child, pte_t *from, pte_t *to, u64 count)
{
    struct page *zero = zero_page();
    for (u64 i = 0; i < count; i++) {
        pte_t entry = from[i];
        if (!entry)
            continue;
        if (entry & PTE_W)
            from[i] = entry = (entry & ~(u64)(PTE_W | PTE_D)) | PTE_COW;
        struct page *p = page_get(phys_to_page(entry & PTE_ADDR));
        to[i] = entry & ~(u64)PTE_A;
        child->resident += p != zero;
    }
}

static int share_area(struct aspace *parent, struct aspace *child, const struct area *a)
{
    pte_t *from;
    for (vaddr_t va = a->start; (from = pagetable_next(parent->pml4, &va, a->end));) {
        vaddr_t stop = min(a->end, ALIGN_DOWN(va, PT_SPAN) + PT_SPAN);
        pte_t *to = pagetable_walk(child->pml4, va, true, child->cgroup);
        if (!to)
            return -ENOMEM;
        share_entries(child, from, to, (stop - va) >> PAGE_SHIFT);
        va = stop;
    }
    return 0;
}

// Copies area a. Shared pages, and a file's own, are found again by faults: only those that are
// the process's alone must be handed on.
static int fork_area(struct aspace *parent, struct aspace *child, struct area *a)
{
    struct area *copy = area_create(a->start, a->end, a);
    if (!copy)
        return -ENOMEM;
    area_insert(child, copy);
    if (a->flags & MAP_SHARED || (a->object && !a->own_pages))
        return 0;
    if (!list_empty(&parent->watchers))
        aspace_invalidate(parent, a->start, a->end);
    return share_area(parent, child, a);
}

struct aspace *aspace_fork(struct aspace *as, struct cgroup *cg)
{
    struct aspace *child = aspace_create(cg);
    if (IS_ERR(child))
        return child;
    child->brk_start = as->brk_start;
    child->brk = as->brk;
    child->mmap_base = as->mmap_base;
    child->stack_limit = as->stack_limit;
    child->size_limit = as->size_limit;
    child->arg_start = as->arg_start;
    child->arg_end = as->arg_end;
    child->env_start = as->env_start;
    child->env_end = as->env_end;
    child->exe = as->exe;
    if (as->exe && area_file_ops)
        area_file_ops->get(as->exe);
    int err = 0;
    struct area *a;
    list_for_each (a, &as->areas, link) {
        if (!(a->flags & AREA_DONTFORK))
            err = fork_area(as, child, a);
        if (err)
            break;
    }
    child->resident_peak = child->resident;
    tlb_flush_range(as, 0, USER_END);
    if (!err)
        return child;
    aspace_put(child);
    return ERR_PTR(err);
}

// Copies between buf and the address space; returns bytes copied.
static size_t access(struct aspace *as, vaddr_t va, void *buf, size_t n, bool write)
{
    size_t done = 0;
    while (done < n) {
        bool writable;
        struct page *p = aspace_get_page(as, va + done, write, &writable);
        if (IS_ERR(p))
            break;
        size_t off = (va + done) & (PAGE_SIZE - 1);
        size_t part = min(n - done, PAGE_SIZE - off);
        char *in_page = (char *)page_to_virt(p) + off, *in_buf = (char *)buf + done;
        memcpy(write ? in_page : in_buf, write ? in_buf : in_page, part);
        page_put(p);
        done += part;
    }
    return done;
}

size_t aspace_read(struct aspace *as, vaddr_t va, void *buf, size_t n)
{
    return access(as, va, buf, n, false);
}

size_t aspace_write(struct aspace *as, vaddr_t va, const void *buf, size_t n)
{
    return access(as, va, (void *)buf, n, true);
}
