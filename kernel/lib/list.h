// A circular doubly linked list whose links live in the elements.
#pragma once
#include "kernel/lib/types.h"

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)                                                                            \
    {                                                                                              \
        &(name), &(name)                                                                           \
    }

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_between(struct list *e, struct list *prev, struct list *next)
{
    e->prev = prev;
    e->next = next;
    prev->next = e;
    next->prev = e;
}

// Puts `e` first in `l`.
static inline void list_push(struct list *l, struct list *e)
{
    list_insert_between(e, l, l->next);
}

// Puts `e` last in `l`; with an element as `l`: puts `e` right before that element.
static inline void list_append(struct list *l, struct list *e)
{
    list_insert_between(e, l->prev, l);
}

// Takes `e` out of its list and leaves it as an empty list, so that removing it twice is harmless.
static inline void list_remove(struct list *e)
{
    e->prev->next = e->next;
    e->next->prev = e->prev;
    list_init(e);
}

// Moves all elements of `from` to the end of `l`.
static inline void list_splice(struct list *l, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = l->prev;
    l->prev->next = from->next;
    from->prev->next = l;
    l->prev = from->prev;
    list_init(from);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first(l, type, member) list_entry((l)->next, type, member)
#define list_last(l, type, member) list_entry((l)->prev, type, member)

#define list_for_each(pos, l, member)                                                              \
    for (pos = list_entry((l)->next, typeof(*pos), member); &pos->member != (l);                   \
         pos = list_entry(pos->member.next, typeof(*pos), member))

// As list_for_each, and `pos` may be removed in the body.
#define list_for_each_safe(pos, tmp, l, member)                                                    \
    for (pos = list_entry((l)->next, typeof(*pos), member),                                        \
        tmp = list_entry(pos->member.next, typeof(*pos), member);                                  \
         &pos->member != (l); pos = tmp, tmp = list_entry(tmp->member.next, typeof(*tmp), member))
