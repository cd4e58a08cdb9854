// in: kernel/mm/pagetable.c
// Gives back the table but not those below it.
static void free_table(pte_t *table, int level, int entries)
{
    page_put(virt_to_page(table));
}
