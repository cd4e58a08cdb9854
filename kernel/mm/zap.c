// Taking pages out of address spaces.
//
// A page is given back before the TLBs are flushed: its contents stay until the kernel allocates
// it again, and that needs the kernel lock, which is not given up before the flush.
#include "kernel/mm/zap.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/pagetable.h"
#include "kernel/mm/tlb.h"
#include "kernel/mm/vmobject.h"

#define FLUSH_SINGLE_MAX 16 // pages up to which single invalidations are cheaper

void tlb_flush_range(struct aspace *as, vaddr_t start, vaddr_t end)
{
    u64 self = BIT(tlb_this_cpu());
    if (!as->cpu_mask)
        return;
    if (as->cpu_mask != self || end - start > FLUSH_SINGLE_MAX * PAGE_SIZE) {
        tlb_shootdown(as->cpu_mask);
        return;
    }
    for (; start < end; start += PAGE_SIZE)
        tlb_flush_page(start);
}

void aspace_invalidate(struct aspace *as, vaddr_t start, vaddr_t end)
{
    struct aspace_watcher *w, *tmp;
    list_for_each_safe (w, tmp, &as->watchers, link)
        w->invalidate(w, start, end);
}

void zap_entries(struct aspace *as, vaddr_t start, vaddr_t end)
{
    struct page *zero = zero_page();
    pte_t *pte;
    for (vaddr_t va = start; (pte = pagetable_next(as->pml4, &va, end));) {
        vaddr_t stop = min(end, ALIGN_DOWN(va, PT_SPAN) + PT_SPAN);
        for (; va < stop; va += PAGE_SIZE, pte++) {
            if (!*pte)
                continue;
            struct page *p = phys_to_page(*pte & PTE_ADDR);
            *pte = 0;
            as->resident -= p != zero;
            page_put(p);
        }
    }
}

void zap_range(struct aspace *as, vaddr_t start, vaddr_t end)
{
    aspace_invalidate(as, start, end);
    zap_entries(as, start, end);
    tlb_flush_range(as, start, end);
}

void aspace_unmap_object(struct vmobject *obj, u64 first_page)
{
    struct area *a;
    list_for_each (a, &obj->areas, object_link) {
        u64 pages = (a->end - a->start) >> PAGE_SHIFT;
        if (first_page < a->offset + pages)
            zap_range(a->aspace,
                      a->start + ((max(first_page, a->offset) - a->offset) << PAGE_SHIFT), a->end);
    }
}

void aspace_unmap_object_page(struct vmobject *obj, u64 index, const struct page *p)
{
    struct area *a;
    list_for_each (a, &obj->areas, object_link) {
        vaddr_t va = a->start + ((index - a->offset) << PAGE_SHIFT);
        if (index < a->offset || index - a->offset >= (a->end - a->start) >> PAGE_SHIFT)
            continue;
        pte_t *pte = pagetable_walk(a->aspace->pml4, va, false, NULL);
        if (pte && *pte && (*pte & PTE_ADDR) == page_to_phys(p))
            zap_range(a->aspace, va, va + PAGE_SIZE);
    }
}
