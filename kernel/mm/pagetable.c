// Page tables of four levels. Level 4 is the PML4, level 1 holds the entries that map frames.
//
// Only the lower half is built here: the upper half of every PML4 is a copy of the kernel's, whose
// level-3 tables exist from boot on, so that the kernel's mappings are the same everywhere.
#include "kernel/mm/pagetable.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"

#define ENTRIES 512
#define LOWER_HALF_ENTRIES 256
#define TABLE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A)

static pte_t *table_of(pte_t entry)
{
    return phys_to_virt(entry & PTE_ADDR);
}

// Bytes that one entry of a table of `level` covers.
static u64 entry_span(int level)
{
    return PAGE_SIZE << (9 * (level - 1));
}

paddr_t pagetable_create(struct cgroup *cg)
{
    struct page *p = frame_alloc_charged(cg, 0);
    if (!p)
        return 0;
    pte_t *new = page_to_virt(p), *kernel = phys_to_virt(kernel_pml4());
    memset(new, 0, LOWER_HALF_ENTRIES * sizeof(pte_t));
    memcpy(new + LOWER_HALF_ENTRIES, kernel + LOWER_HALF_ENTRIES,
           (ENTRIES - LOWER_HALF_ENTRIES) * sizeof(pte_t));
    return page_to_phys(p);
}

// The first used entry from `i` on, or `end`. Tables are mostly empty, so it looks at eight at
// once; `end` is a multiple of 8.
static inline int next_used(const pte_t *table, int i, int end)
{
    for (; i % 8 && i < end; i++)
        if (table[i])
            return i;
    for (const pte_t *t = table + i; i < end; i += 8, t += 8)
        if (t[0] | t[1] | t[2] | t[3] | t[4] | t[5] | t[6] | t[7])
            break;
    while (i < end && !table[i])
        i++;
    return i;
}

static void free_table(pte_t *table, int level, int entries)
{
    if (level > 1)
        for (int i = 0; (i = next_used(table, i, entries)) < entries; i++)
            free_table(table_of(table[i]), level - 1, ENTRIES);
    page_put(virt_to_page(table));
}

void pagetable_destroy(paddr_t pml4)
{
    free_table(phys_to_virt(pml4), 4, LOWER_HALF_ENTRIES);
}

pte_t *pagetable_walk(paddr_t pml4, vaddr_t va, bool create, struct cgroup *cg)
{
    pte_t *table = phys_to_virt(pml4);
#pragma GCC unroll 4 // each page fault comes here twice
    for (int level = 4; level > 1; level--) {
        pte_t *entry = &table[pt_index(va, level)];
        if (!*entry) {
            struct page *p = create ? frame_alloc_charged(cg, FRAME_ZERO) : NULL;
            if (!p)
                return NULL;
            *entry = page_to_phys(p) | TABLE_FLAGS;
        }
        table = table_of(*entry);
    }
    return &table[pt_index(va, 1)];
}

pte_t *pagetable_next(paddr_t pml4, vaddr_t *va, vaddr_t end)
{
    while (*va < end) {
        pte_t *table = phys_to_virt(pml4);
        int level = 4;
        while (level > 1 && table[pt_index(*va, level)]) {
            table = table_of(table[pt_index(*va, level)]);
            level--;
        }
        if (level == 1)
            return &table[pt_index(*va, 1)];
        *va = ALIGN_DOWN(*va, entry_span(level)) + entry_span(level);
    }
    return NULL;
}

// Frees the tables below `table` that lie wholly in [start, end); `base` is what table[0] maps.
static void trim_table(pte_t *table, int level, vaddr_t base, vaddr_t start, vaddr_t end)
{
    u64 span = entry_span(level);
    vaddr_t limit = min(end, base + ENTRIES * span);
    for (vaddr_t va = max(ALIGN_DOWN(start, span), base); va < limit; va += span) {
        pte_t *entry = &table[pt_index(va, level)];
        if (!*entry)
            continue;
        if (va >= start && va + span <= end) {
            free_table(table_of(*entry), level - 1, ENTRIES);
            *entry = 0;
        } else if (level > 2) {
            trim_table(table_of(*entry), level - 1, va, start, end);
        }
    }
}

void pagetable_trim(paddr_t pml4, vaddr_t start, vaddr_t end)
{
    trim_table(phys_to_virt(pml4), 4, 0, start, end);
}
