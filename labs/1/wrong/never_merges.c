// in: kernel/mm/frame.c
// A freed block goes into its list as it is.
static void block_insert(struct page *p, unsigned order)
{
    p->order = order;
    p->flags |= PAGE_FREE;
    list_push(&free_lists[order], &p->free_link);
}
