// in: kernel/mm/frame.c
// Takes the block behind for the buddy: merged blocks are not aligned to their size.
static void block_insert(struct page *p, unsigned order)
{
    u64 n = p - frame_array;
    for (; order < FRAME_MAX_ORDER; order++) {
        u64 buddy = n + BIT(order);
        if (buddy >= frame_array_size)
            break;
        struct page *b = &frame_array[buddy];
        if (!(b->flags & PAGE_FREE) || b->order != order)
            break;
        list_remove(&b->free_link);
        b->flags &= ~PAGE_FREE;
    }
    p = &frame_array[n];
    p->order = order;
    p->flags |= PAGE_FREE;
    list_push(&free_lists[order], &p->free_link);
}
