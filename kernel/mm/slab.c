// Small kernel objects: powers of two from 16 to 2048 bytes, cut from single frames.
//
// A slab is a frame of equal objects; the free ones are chained through their first word, and
// page.slab_free heads the chain. Slabs with free objects are in their class's list. page.refs
// counts the objects in use, so the frame goes back to the allocator with the last of them, but
// for one that each class keeps. Charged objects have slabs of their own. Larger requests are
// blocks of frames. The kernel lock guards it.
#include "kernel/mm/slab.h"
#include "container/cgroup/cgroup.h"
#include "kernel/lib/list.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/oom.h"
#include "kernel/x86/log.h"

#define MIN_SHIFT 4
#define MAX_SHIFT 11
#define CLASSES (MAX_SHIFT - MIN_SHIFT + 1)

#define CLASS_LIST(n)                                                                              \
    {                                                                                              \
        LIST_INIT(partial[n][0]), LIST_INIT(partial[n][1])                                         \
    }
static struct list partial[CLASSES][2] = {CLASS_LIST(0), CLASS_LIST(1), CLASS_LIST(2),
                                          CLASS_LIST(3), CLASS_LIST(4), CLASS_LIST(5),
                                          CLASS_LIST(6), CLASS_LIST(7)}; // [class][charged]
static_assert(CLASSES == 8, "one initializer for each class");
static u64 bytes_used;

static unsigned size_class(size_t size)
{
    return size <= BIT(MIN_SHIFT) ? 0 : 64 - MIN_SHIFT - __builtin_clzl(size - 1);
}

static size_t class_size(unsigned class)
{
    return BIT(class + MIN_SHIFT);
}

static unsigned order_for(size_t size)
{
    return size <= PAGE_SIZE ? 0 : 64 - PAGE_SHIFT - __builtin_clzl(size - 1);
}

// Where a charged object keeps who pays for it: at its end.
static struct cgroup **owner_of(void *object, unsigned class)
{
    return (struct cgroup **)((char *)object + class_size(class)) - 1;
}

// A fresh slab, in its class's list, with refs 0: no object is in use.
static struct page *slab_create(unsigned class, bool charged)
{
    struct page *p = frame_alloc(0, 0);
    if (!p)
        return NULL;
    char *base = page_to_virt(p);
    void *next = NULL;
    for (size_t off = PAGE_SIZE; off > 0;) {
        off -= class_size(class);
        *(void **)(base + off) = next;
        next = base + off;
    }
    p->refs = 0;
    p->flags |= charged ? PAGE_SLAB | PAGE_SLAB_CHARGED : PAGE_SLAB;
    p->slab_class = class;
    p->slab_free = next;
    list_push(&partial[class][charged], &p->slab_link);
    return p;
}

static void slab_destroy(struct page *p)
{
    list_remove(&p->slab_link);
    p->flags &= ~(PAGE_SLAB | PAGE_SLAB_CHARGED);
    p->cgroup = NULL;
    p->refs = 1;
    page_put(p);
}

static void *object_alloc(unsigned class, bool charged)
{
    struct list *slabs = &partial[class][charged];
    struct page *p =
        list_empty(slabs) ? slab_create(class, charged) : list_first(slabs, struct page, slab_link);
    if (!p)
        return NULL;
    void **object = p->slab_free;
    p->slab_free = *object;
    p->refs++;
    if (!p->slab_free)
        list_remove(&p->slab_link);
    bytes_used += class_size(class);
    return object;
}

static void *block_kmalloc(size_t size, struct cgroup *cg)
{
    unsigned order = order_for(size);
    struct page *p = order <= FRAME_MAX_ORDER ? frame_alloc(order, 0) : NULL;
    if (!p)
        return NULL;
    if (!page_charge(p, cg)) {
        page_put(p);
        return NULL;
    }
    bytes_used += PAGE_SIZE << order;
    return page_to_virt(p);
}

void *kmalloc(size_t size)
{
    return size > BIT(MAX_SHIFT) ? block_kmalloc(size, NULL)
                                 : object_alloc(size_class(size), false);
}

void *kzalloc(size_t size)
{
    void *p = kmalloc(size);
    return p ? memset(p, 0, size) : NULL;
}

void *kmalloc_charged(size_t size)
{
    struct cgroup *cg = oom_current_cgroup ? oom_current_cgroup() : NULL;
    if (!cg)
        return kmalloc(size);
    if (size + sizeof(cg) > BIT(MAX_SHIFT))
        return block_kmalloc(size, cg);
    unsigned class = size_class(size + sizeof(cg));
    if (!cgroup_charge_memory(cg, class_size(class), NULL))
        return NULL;
    void *object = object_alloc(class, true);
    if (object)
        *owner_of(object, class) = cg;
    else
        cgroup_uncharge_memory(cg, class_size(class));
    return object;
}

void *kzalloc_charged(size_t size)
{
    void *p = kmalloc_charged(size);
    return p ? memset(p, 0, size) : NULL;
}

void kfree(void *ptr)
{
    if (!ptr)
        return;
    struct page *p = virt_to_page(ptr);
    assert(p && p->refs > 0);
    if (!(p->flags & PAGE_SLAB)) {
        bytes_used -= PAGE_SIZE << p->order;
        page_put(p);
        return;
    }
    unsigned class = p->slab_class;
    bool charged = p->flags & PAGE_SLAB_CHARGED;
    struct list *slabs = &partial[class][charged];
    assert(((u64)ptr & (class_size(class) - 1)) == 0);
    struct cgroup *owner = charged ? *owner_of(ptr, class) : NULL;
    bytes_used -= class_size(class);
    if (!p->slab_free)
        list_push(slabs, &p->slab_link);
    *(void **)ptr = p->slab_free;
    p->slab_free = ptr;
    bool only_slab = slabs->next == slabs->prev;
    if (--p->refs == 0 && !only_slab)
        slab_destroy(p);
    if (owner)
        cgroup_uncharge_memory(owner, class_size(class));
}

static size_t usable_size(void *ptr)
{
    struct page *p = virt_to_page(ptr);
    assert(p);
    if (!(p->flags & PAGE_SLAB))
        return PAGE_SIZE << p->order;
    return class_size(p->slab_class) - (p->flags & PAGE_SLAB_CHARGED ? sizeof(struct cgroup *) : 0);
}

static bool is_charged(const struct page *p)
{
    return p->flags & PAGE_SLAB ? p->flags & PAGE_SLAB_CHARGED : p->cgroup != NULL;
}

void *krealloc(void *ptr, size_t size)
{
    if (!ptr)
        return kmalloc(size);
    size_t old = usable_size(ptr);
    if (size <= old && size > old / 4)
        return ptr;
    void *new = is_charged(virt_to_page(ptr)) ? kmalloc_charged(size) : kmalloc(size);
    if (!new)
        return size <= old ? ptr : NULL;
    memcpy(new, ptr, min(old, size));
    kfree(ptr);
    return new;
}

char *kstrdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = kmalloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}

u64 slab_bytes_used(void)
{
    return bytes_used;
}
