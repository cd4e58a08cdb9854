// A sparse array of pages by index: a radix tree with 64 slots a node that is as high as its
// largest index asks for. Holds no references of its own. Kernel lock held; never sleeps.
#pragma once
#include "kernel/lib/types.h"

struct page;

struct pagemap {
    void *root;      // a page where height is 0
    unsigned height; // levels of nodes
};

struct page *pagemap_get(const struct pagemap *m, u64 index); // NULL if there is none
// Puts p (not NULL) at index, in place of what was there. 0 or -ENOMEM.
int pagemap_set(struct pagemap *m, u64 index, struct page *p);
// Takes the page at index out and returns it, or NULL.
struct page *pagemap_take(struct pagemap *m, u64 index);
// Takes out all pages from index `first` on, calls drop(page) for each, frees the nodes. Returns
// how many.
u64 pagemap_truncate(struct pagemap *m, u64 first, void (*drop)(struct page *p));
