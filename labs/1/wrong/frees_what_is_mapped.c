// in: kernel/mm/pagetable.c
// Takes the frames that level 1 maps for tables too.
static void free_table(pte_t *table, int level, int entries)
{
    for (int i = 0; level > 0 && i < entries; i++)
        if (table[i])
            free_table(table_of(table[i]), level - 1, ENTRIES);
    page_put(virt_to_page(table));
}
