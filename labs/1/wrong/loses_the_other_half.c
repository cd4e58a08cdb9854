// in: kernel/mm/frame.c
// Splits a block and keeps one half only: memory leaks away.
static struct page *block_take(unsigned order)
{
    unsigned have = order;
    while (have <= FRAME_MAX_ORDER && list_empty(&free_lists[have]))
        have++;
    if (have > FRAME_MAX_ORDER)
        return NULL;
    struct page *p = list_first(&free_lists[have], struct page, free_link);
    list_remove(&p->free_link);
    p->flags &= ~PAGE_FREE;
    return p;
}
