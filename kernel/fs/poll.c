// A task that waits for several files at once. See poll.h.
#include "kernel/fs/poll.h"
#include "kernel/mm/slab.h"
#include "kernel/task/task.h"

static void add(struct poll_table *pt, struct wait_queue *q)
{
    struct poll_waiter *w = container_of(pt, struct poll_waiter, table);

    if (w->last->used == POLL_INLINE) {
        struct poll_chunk *chunk = kzalloc(sizeof(*chunk));
        if (!chunk) {
            w->no_memory = true;
            return;
        }
        w->last->next = chunk;
        w->last = chunk;
    }
    struct wait_entry *e = &w->last->entries[w->last->used++];
    *e = (struct wait_entry){.task = current()};
    wait_add(q, e);
}

void poll_waiter_init(struct poll_waiter *w)
{
    w->table.add = add;
    w->no_memory = false;
    w->first.next = NULL;
    w->first.used = 0;
    w->last = &w->first;
}

void poll_waiter_done(struct poll_waiter *w)
{
    for (struct poll_chunk *c = &w->first, *next; c; c = next) {
        next = c->next;
        for (u32 n = 0; n < c->used; n++)
            wait_remove(&c->entries[n]);
        if (c != &w->first)
            kfree(c);
    }
}
