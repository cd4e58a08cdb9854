// in: kernel/mm/pagetable.c
// Upper entries lack the user bit: the CPU refuses every user access below them.
pte_t *pagetable_walk(paddr_t pml4, vaddr_t va, bool create, struct cgroup *cg)
{
    pte_t *table = phys_to_virt(pml4);
    for (int level = 4; level > 1; level--) {
        pte_t *entry = &table[pt_index(va, level)];
        if (!*entry) {
            struct page *p = create ? frame_alloc_charged(cg, FRAME_ZERO) : NULL;
            if (!p)
                return NULL;
            *entry = page_to_phys(p) | PTE_P | PTE_W;
        }
        table = table_of(*entry);
    }
    return &table[pt_index(va, 1)];
}
