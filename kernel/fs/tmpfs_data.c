// The bytes of tmpfs files: a sparse array of pages that is also the object which areas map.
#include "kernel/fs/tmpfs.h"
#include <linux/falloc.h>
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/pagemap.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/vmobject.h"
#include "kernel/task/sched.h"
#include "kernel/task/task.h"

#define SIZE_MAX_FILE (1UL << 60)
#define RESCHED_BYTES 0x40000 // between chances for others

struct tmpfs_pages {
    struct vmobject obj;
    struct pagemap map; // each page in it has a reference
    u64 resident;
    struct super *super; // outlives the file
};

static struct tmpfs_pages *to_pages(const struct vmobject *obj)
{
    return container_of(obj, struct tmpfs_pages, obj);
}

static struct page *peek(struct vmobject *obj, u64 index)
{
    struct page *p = index < obj->pages ? pagemap_get(&to_pages(obj)->map, index) : NULL;
    return p ? page_get(p) : NULL;
}

// A new page for the hole at index: no reference for the caller. ERR_PTR(-ENOSPC, -ENOMEM).
static struct page *fill(struct tmpfs_pages *t, u64 index, u32 flags, struct cgroup *cg)
{
    struct super *s = t->super;

    if (s->max_bytes && s->used_bytes + PAGE_SIZE > s->max_bytes)
        return ERR_PTR(-ENOSPC);
    struct page *p = frame_alloc_charged(cg, flags);
    if (!p)
        return ERR_PTR(-ENOMEM);
    if (pagemap_set(&t->map, index, p) != 0) {
        page_put(p);
        return ERR_PTR(-ENOMEM);
    }
    t->resident++;
    s->used_bytes += PAGE_SIZE;
    // Whoever has read the hole maps the zero page there: let them fault again.
    if (!list_empty(&t->obj.areas))
        aspace_unmap_object_page(&t->obj, index, zero_page());
    return p;
}

static struct page *get_page(struct vmobject *obj, u64 index, bool write, struct cgroup *cg)
{
    if (index >= obj->pages)
        return ERR_PTR(-EFAULT);
    struct page *p = pagemap_get(&to_pages(obj)->map, index);
    if (!p && !write)
        return page_get(zero_page());
    if (!p)
        p = fill(to_pages(obj), index, FRAME_ZERO, cg);
    if (IS_ERR(p))
        return PTR_ERR(p) == -ENOSPC ? ERR_PTR(-EFAULT) : p;
    return page_get(p);
}

static void drop_from(struct tmpfs_pages *t, u64 first)
{
    u64 n = pagemap_truncate(&t->map, first, page_put);
    t->resident -= n;
    t->super->used_bytes -= n * PAGE_SIZE;
}

static void release(struct vmobject *obj)
{
    drop_from(to_pages(obj), 0);
    kfree(to_pages(obj));
}

static const struct vmobject_ops object_ops = {
    .get_page = get_page,
    .peek = peek,
    .release = release,
};

struct vmobject *tmpfs_object(struct super *s)
{
    struct tmpfs_pages *t = kzalloc_charged(sizeof(*t));

    if (!t)
        return NULL;
    vmobject_init(&t->obj, &object_ops, 0);
    t->super = s;
    return &t->obj;
}

u64 tmpfs_resident(const struct inode *i)
{
    return i->mapping ? to_pages(i->mapping)->resident : 0;
}

static void set_size(struct inode *i, u64 size)
{
    i->size = size;
    i->mapping->pages = ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE;
}

int tmpfs_truncate(struct inode *i, u64 size)
{
    struct tmpfs_pages *t = to_pages(i->mapping);

    if (size > SIZE_MAX_FILE)
        return -EFBIG;
    if (size < i->size) {
        u64 first = ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE;
        if (!list_empty(&t->obj.areas))
            aspace_unmap_object(&t->obj, first);
        drop_from(t, first);
        struct page *tail = pagemap_get(&t->map, size / PAGE_SIZE);
        if (size % PAGE_SIZE && tail)
            memset((char *)page_to_virt(tail) + size % PAGE_SIZE, 0, PAGE_SIZE - size % PAGE_SIZE);
    }
    set_size(i, size);
    inode_touch(i);
    return 0;
}

static long tmpfs_read(struct file *f, struct uio *u, u64 *pos)
{
    struct inode *i = f->inode;
    struct tmpfs_pages *t = to_pages(i->mapping);
    size_t done = 0;

    while (u->resid && *pos < i->size) {
        size_t off = *pos % PAGE_SIZE;
        size_t n = min(PAGE_SIZE - off, i->size - *pos);
        n = min(n, u->resid);
        struct page *p = pagemap_get(&t->map, *pos / PAGE_SIZE);
        long moved;
        if (p) {
            page_get(p);
            moved = uio_write(u, (char *)page_to_virt(p) + off, n);
            page_put(p);
        } else
            moved = uio_write_zeros(u, n);
        if (moved < 0)
            return done ? (long)done : moved;
        done += moved;
        *pos += moved;
        if ((size_t)moved < n)
            break;
        if (u->user && done % RESCHED_BYTES == 0)
            cond_resched();
    }
    return done;
}

// Writes within one page; grows the file. Bytes or -errno.
static long write_page(struct inode *i, struct uio *u, u64 pos, size_t n)
{
    struct tmpfs_pages *t = to_pages(i->mapping);
    struct page *p = pagemap_get(&t->map, pos / PAGE_SIZE);
    size_t off = pos % PAGE_SIZE;
    bool fresh = !p;
    bool whole = n == PAGE_SIZE && !u->user;

    if (fresh)
        p = fill(t, pos / PAGE_SIZE, whole ? 0 : FRAME_ZERO, current() ? current()->cgroup : NULL);
    if (IS_ERR(p))
        return PTR_ERR(p);
    page_get(p);
    long moved = uio_read(u, (char *)page_to_virt(p) + off, n);
    page_put(p);
    if (moved > 0 && pos + moved > i->size)
        set_size(i, pos + moved);
    return moved;
}

static long tmpfs_write(struct file *f, struct uio *u, u64 *pos)
{
    struct inode *i = f->inode;
    size_t done = 0;
    long moved = 0;

    if (*pos + u->resid > SIZE_MAX_FILE)
        return -EFBIG;
    while (u->resid) {
        size_t n = min(PAGE_SIZE - *pos % PAGE_SIZE, u->resid);
        moved = write_page(i, u, *pos, n);
        if (moved < 0)
            break;
        done += moved;
        *pos += moved;
        if ((size_t)moved < n)
            break;
        if (u->user && done % RESCHED_BYTES == 0)
            cond_resched();
    }
    if (done)
        inode_touch(i);
    return done ? (long)done : moved;
}

static int reserve(struct inode *i, u64 offset, u64 len)
{
    struct tmpfs_pages *t = to_pages(i->mapping);

    for (u64 index = offset / PAGE_SIZE; index * PAGE_SIZE < offset + len; index++) {
        if (pagemap_get(&t->map, index))
            continue;
        struct page *p = fill(t, index, FRAME_ZERO, current()->cgroup);
        if (IS_ERR(p))
            return PTR_ERR(p);
    }
    return 0;
}

static void zero_part(struct tmpfs_pages *t, u64 from, u64 to)
{
    struct page *p = pagemap_get(&t->map, from / PAGE_SIZE);

    if (p && from < to)
        memset((char *)page_to_virt(p) + from % PAGE_SIZE, 0, to - from);
}

static void punch(struct inode *i, u64 offset, u64 len)
{
    struct tmpfs_pages *t = to_pages(i->mapping);
    u64 end = min(offset + len, ALIGN_UP(i->size, PAGE_SIZE));

    for (u64 pos = offset; pos < end;) {
        u64 next = min(ALIGN_DOWN(pos, PAGE_SIZE) + PAGE_SIZE, end);
        if (next - pos < PAGE_SIZE)
            zero_part(t, pos, next);
        else {
            struct page *p = pagemap_take(&t->map, pos / PAGE_SIZE);
            if (p) {
                t->resident--;
                t->super->used_bytes -= PAGE_SIZE;
                aspace_unmap_object_page(&t->obj, pos / PAGE_SIZE, p);
                page_put(p);
            }
        }
        pos = next;
    }
}

int tmpfs_allocate(struct inode *i, u32 mode, u64 offset, u64 len)
{
    if (offset + len > SIZE_MAX_FILE)
        return -EFBIG;
    if (mode & FALLOC_FL_PUNCH_HOLE) {
        punch(i, offset, len);
        inode_touch(i);
        return 0;
    }
    int err = reserve(i, offset, len);
    if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && offset + len > i->size)
        set_size(i, offset + len);
    return err;
}

s64 tmpfs_seek_data(struct inode *i, u64 offset, bool data)
{
    struct tmpfs_pages *t = to_pages(i->mapping);

    for (; offset < i->size; offset = ALIGN_DOWN(offset, PAGE_SIZE) + PAGE_SIZE)
        if (!pagemap_get(&t->map, offset / PAGE_SIZE) != data)
            return offset;
    return data ? -ENXIO : (s64)i->size;
}

const struct file_ops tmpfs_file_ops = {
    .read = tmpfs_read,
    .write = tmpfs_write,
};
