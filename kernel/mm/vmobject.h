// A source of pages by index: what an area of an address space, or a file, is made of. tmpfs files,
// shared anonymous memory and struct kvm_run are vmobjects. Reference counted.
#pragma once
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

struct page;
struct cgroup;
struct vmobject;

struct vmobject_ops {
    // The page at `index` with a reference for the caller, or ERR_PTR: -EFAULT past the end
    // (SIGBUS), -ENOMEM. `write`: the caller is going to write to it (a hole gets a page). Holes
    // read as zeros. May sleep. Charged to cg.
    struct page *(*get_page)(struct vmobject *obj, u64 index, bool write, struct cgroup *cg);
    void (*release)(struct vmobject *obj); // the last reference is gone
    // The page at `index` with a reference if it is there already, else NULL: no allocation, no
    // waiting. Lets a fault map its neighbours too. May be NULL.
    struct page *(*peek)(struct vmobject *obj, u64 index);
};

struct vmobject {
    const struct vmobject_ops *ops;
    u32 refs;
    u64 pages;         // size in pages; get_page past it fails
    struct list areas; // of struct area that map it (object_link)
};

// Prepares an object that is part of another structure, with one reference.
void vmobject_init(struct vmobject *obj, const struct vmobject_ops *ops, u64 pages);

static inline struct vmobject *vmobject_get(struct vmobject *obj)
{
    obj->refs++;
    return obj;
}
void vmobject_put(struct vmobject *obj);

// Memory that starts as zeros: an array of pages that grows; for MAP_SHARED|MAP_ANONYMOUS and
// tmpfs. ERR_PTR(-ENOMEM).
struct vmobject *anon_object_create(u64 pages);
// Sets the size; pages past a smaller size are dropped, and unmapped wherever they are mapped is
// the caller's duty.
int anon_object_resize(struct vmobject *obj, u64 pages);
// An object over frames that its owner keeps (kvm_run, a device); the owner calls vmobject_put when
// it is done.
struct vmobject *pages_object_create(struct page **pages, u64 count);
