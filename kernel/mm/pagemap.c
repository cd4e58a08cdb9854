// A radix tree of pages: each level of nodes takes six bits of the index, the lowest ones last.
// The tree grows at its root when an index asks for more levels, and never shrinks but to nothing.
#include "kernel/mm/pagemap.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"

#define SLOT_BITS 6
#define SLOTS BIT(SLOT_BITS)
#define MAX_HEIGHT 11 // 66 bits of index

struct node {
    void *slot[SLOTS];
};

// True if a tree of this height has room for index.
static bool covers(unsigned height, u64 index)
{
    return height >= MAX_HEIGHT || index >> (SLOT_BITS * height) == 0;
}

static unsigned slot_index(u64 index, unsigned level)
{
    return (index >> (SLOT_BITS * (level - 1))) & (SLOTS - 1);
}

// The place of index, or NULL if the tree has no node for it.
static void **find_slot(const struct pagemap *m, u64 index)
{
    if (!covers(m->height, index))
        return NULL;
    void **slot = (void **)&m->root;
    for (unsigned level = m->height; level > 0; level--) {
        struct node *n = *slot;
        if (!n)
            return NULL;
        slot = &n->slot[slot_index(index, level)];
    }
    return slot;
}

struct page *pagemap_get(const struct pagemap *m, u64 index)
{
    void **slot = find_slot(m, index);
    return slot ? *slot : NULL;
}

int pagemap_set(struct pagemap *m, u64 index, struct page *p)
{
    while (!covers(m->height, index)) {
        if (m->root) {
            struct node *n = kzalloc(sizeof(*n));
            if (!n)
                return -ENOMEM;
            n->slot[0] = m->root;
            m->root = n;
        }
        m->height++;
    }
    void **slot = &m->root;
    for (unsigned level = m->height; level > 0; level--) {
        if (!*slot && !(*slot = kzalloc(sizeof(struct node))))
            return -ENOMEM;
        slot = &((struct node *)*slot)->slot[slot_index(index, level)];
    }
    *slot = p;
    return 0;
}

struct page *pagemap_take(struct pagemap *m, u64 index)
{
    void **slot = find_slot(m, index);
    struct page *p = slot ? *slot : NULL;
    if (p)
        *slot = NULL;
    return p;
}

struct truncation {
    void (*drop)(struct page *p);
    u64 dropped;
};

// Empties the subtree at *slot, of `level` levels, from its index `first` on.
static void truncate_slot(void **slot, unsigned level, u64 first, struct truncation *t)
{
    if (!*slot)
        return;
    if (level == 0) {
        struct page *p = *slot;
        *slot = NULL;
        t->drop(p);
        t->dropped++;
        return;
    }
    struct node *n = *slot;
    for (unsigned i = slot_index(first, level); i < SLOTS; i++) {
        truncate_slot(&n->slot[i], level - 1, first, t);
        first = 0;
    }
    for (unsigned i = 0; i < SLOTS; i++)
        if (n->slot[i])
            return;
    *slot = NULL;
    kfree(n);
}

u64 pagemap_truncate(struct pagemap *m, u64 first, void (*drop)(struct page *p))
{
    struct truncation t = {.drop = drop};
    if (covers(m->height, first))
        truncate_slot(&m->root, m->height, first, &t);
    if (!m->root)
        m->height = 0;
    return t.dropped;
}
