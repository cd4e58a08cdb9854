// in: kernel/mm/frame.c
// Splits in the wrong order: the half that is handed out is in a free list as well.
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
    while (have > order) {
        have--;
        struct page *half = p + BIT(have) / 2;
        half->order = have;
        half->flags |= PAGE_FREE;
        list_push(&free_lists[have], &half->free_link);
    }
    return p;
}
