// in: kernel/mm/pagetable.c
// Frees tables that only overlap the range.
static void trim_table(pte_t *table, int level, vaddr_t base, vaddr_t start, vaddr_t end)
{
    u64 span = entry_span(level);
    vaddr_t limit = min(end, base + ENTRIES * span);
    for (vaddr_t va = max(ALIGN_DOWN(start, span), base); va < limit; va += span) {
        pte_t *entry = &table[pt_index(va, level)];
        if (!*entry)
            continue;
        if (level == 2) {
            free_table(table_of(*entry), level - 1, ENTRIES);
            *entry = 0;
        } else {
            trim_table(table_of(*entry), level - 1, va, start, end);
        }
    }
}
