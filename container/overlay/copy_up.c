// Copying a file to the upper layer before it is changed, with all directories above it.
//
// The kernel lock makes it atomic: nobody sees half a copy, so the work directory stays empty.
#include "container/overlay/overlay.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/vmobject.h"

#define CHUNK 16384

// The next data from pos on, up to the hole behind it; false at the end. Holes stay holes.
static bool next_data(struct inode *i, u64 *pos, u64 *end)
{
    s64 (*seek)(struct inode *, u64, bool) = i->ops->seek_data;
    s64 start = *pos >= i->size ? -ENXIO : seek ? seek(i, *pos, true) : (s64)*pos;

    if (start < 0)
        return false;
    *pos = start;
    *end = seek ? seek(i, start, false) : (s64)i->size;
    return true;
}

static int copy_chunks(struct file *to, struct file *from, char *buf)
{
    u64 pos = 0, end;

    while (next_data(from->inode, &pos, &end)) {
        long n = kernel_read(from, buf, min(end - pos, (u64)CHUNK), pos);
        long written = n > 0 ? kernel_write(to, buf, n, pos) : n;
        if (written <= 0 || written < n)
            return written < 0 ? (int)written : -ENOSPC;
        pos += n;
    }
    return file_truncate(to->inode, from->inode->size);
}

static int copy_data(const struct path *to, const struct path *from)
{
    struct file *out = file_open(to, O_WRONLY), *in = file_open(from, O_RDONLY);
    char *buf = kmalloc(CHUNK);
    int err = IS_ERR(out) ? PTR_ERR(out) : IS_ERR(in) ? PTR_ERR(in) : buf ? 0 : -ENOMEM;

    if (!err)
        err = copy_chunks(out, in, buf);
    kfree(buf);
    if (!IS_ERR(in))
        file_put(in);
    if (!IS_ERR(out))
        file_put(out);
    return err;
}

static int copy_symlink(struct dentry *dir, const struct dentry *d, struct inode *from,
                        struct dentry **out)
{
    char *target = kzalloc(PATH_MAX_K);

    if (!target)
        return -ENOMEM;
    long n = from->ops->readlink(from, target, PATH_MAX_K - 1);
    int err = n < 0 ? (int)n : raw_symlink(dir, d->name, d->len, target, out);
    kfree(target);
    return err;
}

static void copy_attributes(struct inode *to, const struct inode *from)
{
    to->mode = from->mode;
    to->uid = from->uid;
    to->gid = from->gid;
    to->atime = from->atime;
    to->mtime = from->mtime;
}

// The inode of the overlay now stands for the copy.
static void switch_to(struct inode *i, struct dentry *copy)
{
    node_of(i)->upper = copy;
    if (i->mapping) {
        vmobject_put(i->mapping);
        i->mapping = vmobject_get(copy->inode->mapping);
    }
    overlay_refresh(i);
}

// d's parent is in the upper layer.
static int copy_one(struct dentry *d)
{
    struct inode *i = d->inode, *parent = d->parent->inode;
    struct dentry *dir = node_of(parent)->upper, *copy;
    struct path from = node_of(i)->lower[0];
    struct inode *real = from.dentry->inode;
    struct timespec_k mtime = dir->inode->mtime;
    int err = S_ISLNK(real->mode) ? copy_symlink(dir, d, real, &copy)
                                  : raw_create(dir, d->name, d->len, real->mode, real->rdev, &copy);

    if (err)
        return err;
    struct path to = {overlay_of(i->super)->upper.mount, copy};
    if (S_ISREG(real->mode))
        err = copy_data(&to, &from);
    if (err) {
        raw_unlink(copy);
        dentry_put(copy);
        return err;
    }
    copy_attributes(copy->inode, real);
    dir->inode->mtime = mtime; // for the user nothing has changed there
    switch_to(i, copy);
    return 0;
}

int overlay_copy_up(struct dentry *d)
{
    if (!overlay_of(d->super)->upper.mount)
        return -EROFS;
    while (!node_of(d->inode)->upper) {
        struct dentry *top = d;
        if (d->deleted)
            return -ENOENT;
        while (!node_of(top->parent->inode)->upper)
            top = top->parent;
        int err = copy_one(top);
        if (err)
            return err;
    }
    return 0;
}
