// The areas of an address space: a list in address order, a treap to find one by its address, and
// the area that was asked for last.
//
// A treap is a binary search tree by start address that is a heap by a random priority as well,
// which keeps it balanced whatever the order of insertions is.
#include "kernel/mm/area.h"
#include <linux/mman.h>
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/pagetable.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/vmobject.h"

#define STACK_GUARD 0x100000UL

const struct area_file_ops *area_file_ops;

struct area *area_prev(const struct area *a)
{
    return a->link.prev == &a->aspace->areas ? NULL : list_entry(a->link.prev, struct area, link);
}

struct area *area_next(const struct area *a)
{
    return a->link.next == &a->aspace->areas ? NULL : list_entry(a->link.next, struct area, link);
}

static u32 random_priority(void)
{
    static u32 state = 2463534242;
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

// Cuts tree t into the areas before `start` and those from it on.
static void tree_split(struct area *t, vaddr_t start, struct area **before, struct area **after)
{
    while (t) {
        if (t->start < start) {
            *before = t;
            before = &t->right;
            t = t->right;
        } else {
            *after = t;
            after = &t->left;
            t = t->left;
        }
    }
    *before = *after = NULL;
}

static void tree_insert(struct area **root, struct area *a)
{
    a->priority = random_priority();
    while (*root && (*root)->priority >= a->priority)
        root = a->start < (*root)->start ? &(*root)->left : &(*root)->right;
    tree_split(*root, a->start, &a->left, &a->right);
    *root = a;
}

static void tree_remove(struct area **root, struct area *a)
{
    while (*root != a)
        root = a->start < (*root)->start ? &(*root)->left : &(*root)->right;
    struct area *l = a->left, *r = a->right;
    while (l && r) {
        if (l->priority > r->priority) {
            *root = l;
            root = &l->right;
            l = l->right;
        } else {
            *root = r;
            root = &r->left;
            r = r->left;
        }
    }
    *root = l ? l : r;
}

struct area *area_after(struct aspace *as, vaddr_t va)
{
    struct area *best = as->last_hit;
    if (best && best->start <= va && va < best->end)
        return best;
    best = NULL;
    for (struct area *a = as->area_tree; a;) {
        if (a->end > va) {
            best = a;
            a = a->left;
        } else {
            a = a->right;
        }
    }
    if (best)
        as->last_hit = best;
    return best;
}

struct area *aspace_find(struct aspace *as, vaddr_t va)
{
    struct area *a = area_after(as, va);
    return a && a->start <= va ? a : NULL;
}

struct area *area_create(vaddr_t start, vaddr_t end, const struct area *like)
{
    struct area *a = kmalloc_charged(sizeof(*a));
    if (!a)
        return NULL;
    *a = *like;
    a->start = start;
    a->end = end;
    a->aspace = NULL;
    if (a->object)
        vmobject_get(a->object);
    if (a->file && area_file_ops)
        area_file_ops->get(a->file);
    list_init(&a->link);
    list_init(&a->object_link);
    return a;
}

void area_free(struct area *a)
{
    if (a->object)
        vmobject_put(a->object);
    if (a->file && area_file_ops)
        area_file_ops->put(a->file);
    kfree(a);
}

void area_insert(struct aspace *as, struct area *a)
{
    struct area *next = area_after(as, a->start);
    list_append(next ? &next->link : &as->areas, &a->link);
    tree_insert(&as->area_tree, a);
    a->aspace = as;
    as->area_count++;
    as->generation++;
    if (a->object)
        list_push(&a->object->areas, &a->object_link);
}

void area_remove(struct area *a)
{
    list_remove(&a->object_link);
    list_remove(&a->link);
    tree_remove(&a->aspace->area_tree, a);
    a->aspace->area_count--;
    a->aspace->generation++;
    if (a->aspace->last_hit == a)
        a->aspace->last_hit = NULL;
    a->aspace = NULL;
}

int area_split(struct aspace *as, vaddr_t va)
{
    struct area *a = aspace_find(as, va);
    if (!a || a->start == va)
        return 0;
    if (as->area_count >= AREA_MAX)
        return -ENOMEM;
    struct area *upper = area_create(va, a->end, a);
    if (!upper)
        return -ENOMEM;
    upper->offset = a->offset + ((va - a->start) >> PAGE_SHIFT);
    a->end = va;
    area_insert(as, upper);
    return 0;
}

static bool alike(const struct area *a, const struct area *b)
{
    if (a->end != b->start || a->prot != b->prot || a->flags != b->flags ||
        a->object != b->object || a->file != b->file || strcmp(a->name, b->name) != 0)
        return false;
    if (a->flags & MAP_GROWSDOWN)
        return false;
    return !a->object || a->offset + ((a->end - a->start) >> PAGE_SHIFT) == b->offset;
}

struct area *area_merge_next(struct area *a)
{
    struct area *next = area_next(a);
    if (!next || !alike(a, next))
        return a;
    a->end = next->end;
    a->own_pages |= next->own_pages;
    area_remove(next);
    area_free(next);
    return a;
}

void area_merge_range(struct aspace *as, vaddr_t start, vaddr_t end)
{
    struct area *a = area_after(as, start ? start - 1 : 0);
    while (a && a->start < end) {
        vaddr_t was = a->end;
        a = area_merge_next(a);
        if (a->end == was)
            a = area_next(a);
    }
}

// The lowest address that `next` keeps free below itself: a stack needs room to see its end.
static vaddr_t floor_of(const struct area *next)
{
    if (!(next->flags & MAP_GROWSDOWN))
        return next->start;
    return next->start > STACK_GUARD ? next->start - STACK_GUARD : 0;
}

vaddr_t area_find_gap(struct aspace *as, u64 len)
{
    vaddr_t top = as->mmap_base;
    struct area *a = area_after(as, top ? top - 1 : 0);
    if (a && floor_of(a) < top)
        top = floor_of(a);
    a = a ? area_prev(a) : list_empty(&as->areas) ? NULL : list_last(&as->areas, struct area, link);
    for (; top >= MAP_LOWEST + len; a = area_prev(a)) {
        vaddr_t bottom = a ? a->end : MAP_LOWEST;
        if (bottom < MAP_LOWEST)
            bottom = MAP_LOWEST;
        if (top >= bottom && top - bottom >= len)
            return len >= PT_SPAN && ALIGN_DOWN(top - len, PT_SPAN) >= bottom
                       ? ALIGN_DOWN(top - len, PT_SPAN)
                       : top - len;
        if (!a)
            break;
        top = min(top, floor_of(a));
    }
    vaddr_t bottom = as->mmap_base;
    for (a = area_after(as, bottom); a; a = area_next(a)) {
        if (floor_of(a) > bottom && floor_of(a) - bottom >= len)
            return bottom;
        bottom = a->end;
    }
    return USER_END > bottom && USER_END - bottom >= len ? bottom : 0;
}

bool area_range_free(struct aspace *as, vaddr_t start, vaddr_t end)
{
    struct area *a = area_after(as, start);
    return !a || a->start >= end;
}

bool area_room_for(struct aspace *as, u64 more)
{
    if (as->size_limit == UINT64_MAX)
        return true;
    u64 size = aspace_virtual_size(as);
    return size <= as->size_limit && more <= as->size_limit - size;
}
