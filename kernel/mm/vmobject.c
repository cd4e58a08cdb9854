// Sources of pages: memory that starts as zeros, and frames that somebody else keeps.
#include "kernel/mm/vmobject.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/pagemap.h"
#include "kernel/mm/slab.h"
#include "kernel/x86/log.h"

void vmobject_init(struct vmobject *obj, const struct vmobject_ops *ops, u64 pages)
{
    obj->ops = ops;
    obj->refs = 1;
    obj->pages = pages;
    list_init(&obj->areas);
}

void vmobject_put(struct vmobject *obj)
{
    assert(obj->refs > 0);
    if (--obj->refs == 0)
        obj->ops->release(obj);
}

struct anon_object {
    struct vmobject obj;
    struct pagemap map; // each page in it has a reference
    bool holes_read;    // the zero page was given for one
};

static struct anon_object *to_anon(struct vmobject *obj)
{
    return container_of(obj, struct anon_object, obj);
}

static struct page *anon_peek(struct vmobject *obj, u64 index)
{
    struct page *p = index < obj->pages ? pagemap_get(&to_anon(obj)->map, index) : NULL;
    return p ? page_get(p) : NULL;
}

static struct page *anon_get_page(struct vmobject *obj, u64 index, bool write, struct cgroup *cg)
{
    struct anon_object *anon = to_anon(obj);
    if (index >= obj->pages)
        return ERR_PTR(-EFAULT);
    struct page *p = pagemap_get(&anon->map, index);
    if (p)
        return page_get(p);
    if (!write) {
        anon->holes_read = true;
        return page_get(zero_page());
    }
    p = frame_alloc_charged(cg, FRAME_ZERO);
    if (!p)
        return ERR_PTR(-ENOMEM);
    if (pagemap_set(&anon->map, index, p) != 0) {
        page_put(p);
        return ERR_PTR(-ENOMEM);
    }
    // Whoever has read the hole maps the zero page there: let them fault again.
    if (anon->holes_read)
        aspace_unmap_object_page(obj, index, zero_page());
    return page_get(p);
}

static void anon_release(struct vmobject *obj)
{
    struct anon_object *anon = to_anon(obj);
    pagemap_truncate(&anon->map, 0, page_put);
    kfree(anon);
}

static const struct vmobject_ops anon_ops = {
    .get_page = anon_get_page,
    .peek = anon_peek,
    .release = anon_release,
};

struct vmobject *anon_object_create(u64 pages)
{
    struct anon_object *anon = kzalloc_charged(sizeof(*anon));
    if (!anon)
        return ERR_PTR(-ENOMEM);
    vmobject_init(&anon->obj, &anon_ops, pages);
    return &anon->obj;
}

int anon_object_resize(struct vmobject *obj, u64 pages)
{
    assert(obj->ops == &anon_ops);
    if (pages < obj->pages)
        pagemap_truncate(&to_anon(obj)->map, pages, page_put);
    obj->pages = pages;
    return 0;
}

struct pages_object {
    struct vmobject obj;
    struct page *page[]; // obj.pages of them, each with a reference
};

static struct pages_object *to_pages(struct vmobject *obj)
{
    return container_of(obj, struct pages_object, obj);
}

static struct page *pages_peek(struct vmobject *obj, u64 index)
{
    return index < obj->pages ? page_get(to_pages(obj)->page[index]) : NULL;
}

static struct page *pages_get_page(struct vmobject *obj, u64 index, bool write, struct cgroup *cg)
{
    struct page *p = pages_peek(obj, index);
    return p ? p : ERR_PTR(-EFAULT);
}

static void pages_release(struct vmobject *obj)
{
    for (u64 i = 0; i < obj->pages; i++)
        page_put(to_pages(obj)->page[i]);
    kfree(to_pages(obj));
}

static const struct vmobject_ops pages_ops = {
    .get_page = pages_get_page,
    .peek = pages_peek,
    .release = pages_release,
};

struct vmobject *pages_object_create(struct page **pages, u64 count)
{
    struct pages_object *po = kmalloc(sizeof(*po) + count * sizeof(po->page[0]));
    if (!po)
        return ERR_PTR(-ENOMEM);
    vmobject_init(&po->obj, &pages_ops, count);
    for (u64 i = 0; i < count; i++)
        po->page[i] = page_get(pages[i]);
    return &po->obj;
}
