// in: kernel/mm/pagetable.c
// Leaves every table in place.
static void trim_table(pte_t *table, int level, vaddr_t base, vaddr_t start, vaddr_t end)
{
}
