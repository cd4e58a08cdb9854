// Page faults: what makes a page of user memory appear where an area says that there is one.
//
//   area                    read                       write
//   private, no object      the zero page, read-only   a fresh page of zeros
//   private, of an object   the object's, read-only    a copy of the object's page
//   shared                  the object's               the object's (a hole gets a page)
//
// A write to a private page that is there but read-only copies it, unless nobody else holds it.
// With MADV_HUGEPAGE the first write to an untouched, aligned 2 MiB brings them all, in one block:
// the entries are of 4 KiB still, and a nested page table maps the block by one. Getting an
// object's page may sleep; what was known about the area is looked up again then.
#include <linux/mman.h>
#include "container/cgroup/cgroup.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/area.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/pagetable.h"
#include "kernel/mm/tlb.h"
#include "kernel/mm/vmobject.h"
#include "kernel/mm/zap.h"
#include "kernel/x86/trap.h"

#define STACK_GAP 0x100000UL  // what a stack leaves free below itself
#define FAULT_AROUND_PAGES 16 // a power of two

struct fault {
    struct aspace *as;
    struct area *area;
    vaddr_t va; // of the page
    pte_t *pte;
    bool write;
};

// The area of va; a stack below which va lies is grown to it if it may.
static struct area *find_or_grow(struct aspace *as, vaddr_t va)
{
    struct area *a = area_after(as, va);
    if (!a || a->start <= va)
        return a;
    va = ALIGN_DOWN(va, PAGE_SIZE);
    if (!(a->flags & MAP_GROWSDOWN) || a->end - va > as->stack_limit ||
        !area_room_for(as, a->start - va))
        return NULL;
    struct area *below = area_prev(a);
    if (below && below->end + STACK_GAP > va)
        return NULL;
    a->start = va;
    as->generation++;
    return a;
}

static bool allowed(const struct area *a, u32 pf_flags)
{
    if (pf_flags & PF_WRITE)
        return a->prot & PROT_WRITE;
    if (pf_flags & PF_FETCH)
        return a->prot & PROT_EXEC;
    return a->prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

// Puts page p, with the caller's reference to it, into an entry.
static void install(struct fault *f, struct page *p, bool writable)
{
    pte_t entry = page_to_phys(p) | PTE_P | PTE_U | PTE_A;
    if (!(f->area->prot & PROT_EXEC))
        entry |= PTE_NX;
    if (writable)
        entry |= PTE_W | PTE_D;
    else if (!(f->area->flags & MAP_SHARED))
        entry |= PTE_COW;
    *f->pte = entry;
    struct aspace *as = f->as;
    if (p != zero_page() && ++as->resident > as->resident_peak)
        as->resident_peak = as->resident;
}

// Puts page p in the place of the page that is in the entry now.
static void replace(struct fault *f, struct page *p, bool writable)
{
    struct page *old = phys_to_page(*f->pte & PTE_ADDR);
    if (!list_empty(&f->as->watchers))
        aspace_invalidate(f->as, f->va, f->va + PAGE_SIZE);
    f->as->resident -= old != zero_page();
    install(f, p, writable);
    tlb_flush_range(f->as, f->va, f->va + PAGE_SIZE);
    page_put(old);
}

// A page of the process's own with the contents of `from`. NULL without memory.
static struct page *copy_page(struct fault *f, struct page *from)
{
    bool zeros = from == zero_page();
    struct page *p = frame_alloc_charged(f->as->cgroup, zeros ? FRAME_ZERO : 0);
    if (p && !zeros)
        memcpy(page_to_virt(p), page_to_virt(from), PAGE_SIZE);
    return p;
}

// The object's page for f, with a reference; -EAGAIN if the address space changed meanwhile.
static struct page *object_page(struct fault *f, bool write)
{
    u32 generation = f->as->generation;
    struct vmobject *obj = vmobject_get(f->area->object);
    u64 index = f->area->offset + ((f->va - f->area->start) >> PAGE_SHIFT);
    struct page *p = obj->ops->get_page(obj, index, write, f->as->cgroup);
    vmobject_put(obj);
    if (IS_ERR(p))
        return PTR_ERR(p) == -EFAULT ? ERR_PTR(-ENXIO) : p;
    if (f->as->generation == generation)
        return p;
    page_put(p);
    return ERR_PTR(-EAGAIN);
}

// Maps pages that the object has around f, for reading: a program's text comes in with few faults.
static void fault_around(struct fault *f)
{
    struct area *a = f->area;
    struct vmobject *obj = a->object;
    if (!obj->ops->peek)
        return;
    vaddr_t window = ALIGN_DOWN(f->va, FAULT_AROUND_PAGES * PAGE_SIZE);
    vaddr_t start = max(window, a->start);
    vaddr_t end = min(window + FAULT_AROUND_PAGES * PAGE_SIZE, a->end);
    struct fault near = *f;
    near.pte -= (f->va - start) >> PAGE_SHIFT;
    for (near.va = start; near.va < end; near.va += PAGE_SIZE, near.pte++) {
        if (*near.pte)
            continue;
        struct page *p = obj->ops->peek(obj, a->offset + ((near.va - a->start) >> PAGE_SHIFT));
        if (p)
            install(&near, p, false);
    }
}

// Puts one block of zeros into the 2 MiB around f. False where that cannot be: single pages will
// do.
static bool fault_block(struct fault *f)
{
    struct area *a = f->area;
    vaddr_t start = ALIGN_DOWN(f->va, PT_SPAN), end = start + PT_SPAN;
    if (!(a->flags & AREA_HUGEPAGE) || start < a->start || end > a->end)
        return false;
    struct fault each = *f;
    each.pte -= pt_index(f->va, 1);
    for (unsigned i = 0; i < PT_SPAN / PAGE_SIZE; i++)
        if (each.pte[i] && phys_to_page(each.pte[i] & PTE_ADDR) != zero_page())
            return false;
    struct page *p = frame_alloc_run(PT_SPAN_ORDER, f->as->cgroup);
    if (!p)
        return false;
    zap_range(f->as, start, end);
    for (each.va = start; each.va < end; each.va += PAGE_SIZE, each.pte++)
        install(&each, p++, true);
    return true;
}

static int fault_anonymous(struct fault *f)
{
    if (!f->write) {
        install(f, page_get(zero_page()), false);
        return 0;
    }
    if (fault_block(f))
        return 0;
    struct page *p = frame_alloc_charged(f->as->cgroup, FRAME_ZERO);
    if (!p)
        return -ENOMEM;
    install(f, p, true);
    return 0;
}

static int fault_object(struct fault *f)
{
    bool shared = f->area->flags & MAP_SHARED;
    struct page *p = object_page(f, shared && f->write);
    if (IS_ERR(p))
        return PTR_ERR(p);
    if (*f->pte) { // somebody else was faster
        page_put(p);
        return -EAGAIN;
    }
    if (f->write && !shared) {
        struct page *copy = copy_page(f, p);
        page_put(p);
        if (!copy)
            return -ENOMEM;
        f->area->own_pages = true;
        install(f, copy, true);
        return 0;
    }
    install(f, p, f->write);
    if (!f->write)
        fault_around(f);
    return 0;
}

// A write to a page that is mapped read-only.
static int fault_write_protected(struct fault *f)
{
    struct page *old = phys_to_page(*f->pte & PTE_ADDR), *p;
    if (f->area->flags & MAP_SHARED) {
        p = object_page(f, true);
        if (IS_ERR(p))
            return PTR_ERR(p);
        if (!*f->pte) { // the object took its old page away from everybody
            install(f, p, true);
            return 0;
        }
    } else if (old->refs == 1) {
        f->area->own_pages = true;
        *f->pte = (*f->pte & ~(u64)PTE_COW) | PTE_W | PTE_D | PTE_A;
        return 0;
    } else if (!f->area->object && old == zero_page() && fault_block(f)) {
        return 0;
    } else {
        p = copy_page(f, old);
        if (!p)
            return -ENOMEM;
        f->area->own_pages = true;
    }
    if (p != old) {
        replace(f, p, true);
        return 0;
    }
    *f->pte |= PTE_W | PTE_D | PTE_A;
    page_put(p);
    return 0;
}

// The entry of va is in *pte after 0.
static int fault_once(struct aspace *as, vaddr_t va, u32 pf_flags, pte_t **pte)
{
    if (va >= USER_END)
        return -EFAULT;
    struct fault f = {.as = as, .va = ALIGN_DOWN(va, PAGE_SIZE), .write = pf_flags & PF_WRITE};
    f.area = find_or_grow(as, va);
    if (!f.area || !allowed(f.area, pf_flags))
        return -EFAULT;
    f.pte = pagetable_walk(as->pml4, va, true, as->cgroup);
    if (!f.pte)
        return -ENOMEM;
    *pte = f.pte;
    if (*f.pte && (!f.write || *f.pte & PTE_W)) {
        tlb_flush_page(f.va); // this CPU looked before the entry allowed it
        return 0;
    }
    as->faults++;
    if (*f.pte)
        return fault_write_protected(&f);
    return f.area->object ? fault_object(&f) : fault_anonymous(&f);
}

static int fault_in(struct aspace *as, vaddr_t va, u32 pf_flags, pte_t **pte)
{
    int err;
    do
        err = fault_once(as, va, pf_flags, pte);
    while (err == -EAGAIN);
    return err;
}

int aspace_fault(struct aspace *as, vaddr_t va, u32 pf_flags)
{
    pte_t *pte;
    return fault_in(as, va, pf_flags, &pte);
}

struct page *aspace_get_page(struct aspace *as, vaddr_t va, bool write, bool *writable)
{
    pte_t *pte;
    int err = fault_in(as, va, PF_USER | (write ? PF_WRITE : 0), &pte);
    if (err)
        return ERR_PTR(err);
    *writable = *pte & PTE_W;
    return page_get(phys_to_page(*pte & PTE_ADDR));
}

struct page *aspace_block(struct aspace *as, vaddr_t va)
{
    pte_t *pte = va < USER_END ? pagetable_walk(as->pml4, va & ~(PT_SPAN - 1), false, NULL) : NULL;
    if (!pte || *pte & (PT_SPAN - 1) & PTE_ADDR)
        return NULL;
    paddr_t first = *pte & PTE_ADDR;
    for (u64 at = 0; at < PT_SPAN; at += PAGE_SIZE, pte++)
        if ((*pte & (PTE_ADDR | PTE_P | PTE_W)) != (first + at) + (PTE_P | PTE_W))
            return NULL;
    return phys_to_page(first);
}
