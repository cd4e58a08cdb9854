// Changes of the upper layer's directories. See overlay.h.
#include "container/overlay/overlay.h"
#include "kernel/fs/namei.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"

struct dentry *raw_lookup(struct dentry *dir, const char *name, size_t len)
{
    struct dentry *d = dentry_lookup(dir, name, len, name_hash(name, len));
    return d && !IS_ERR(d) ? d : NULL;
}

static int attach(struct dentry *dir, const char *name, size_t len, struct inode *inode,
                  struct dentry **out)
{
    struct dentry *d = vfs_attach(dir, name, len, inode);

    if (!d)
        return -ENOMEM;
    inode_touch(dir->inode);
    if (out)
        *out = d;
    else
        dentry_put(d);
    return 0;
}

int raw_create(struct dentry *dir, const char *name, size_t len, u32 mode, u64 rdev,
               struct dentry **out)
{
    struct inode *inode;
    const struct inode_ops *ops = dir->inode->ops;
    int err = ops->create ? ops->create(dir->inode, name, len, mode, rdev, &inode) : -EPERM;

    return err ? err : attach(dir, name, len, inode, out);
}

int raw_symlink(struct dentry *dir, const char *name, size_t len, const char *target,
                struct dentry **out)
{
    struct inode *inode;
    const struct inode_ops *ops = dir->inode->ops;
    int err = ops->symlink ? ops->symlink(dir->inode, name, len, target, &inode) : -EPERM;

    return err ? err : attach(dir, name, len, inode, out);
}

int raw_link(struct dentry *dir, const char *name, size_t len, struct dentry *target)
{
    const struct inode_ops *ops = dir->inode->ops;
    int err = ops->link ? ops->link(dir->inode, name, len, target->inode) : -EPERM;

    return err ? err : attach(dir, name, len, inode_get(target->inode), NULL);
}

int raw_unlink(struct dentry *d)
{
    struct inode *dir = d->parent->inode;
    int err = dir->ops->unlink ? dir->ops->unlink(dir, d->name, d->len, d->inode) : -EPERM;

    if (err)
        return err;
    inode_touch(dir);
    dentry_unlink(d);
    return 0;
}

int raw_whiteout(struct dentry *dir, const char *name, size_t len)
{
    return raw_create(dir, name, len, S_IFCHR, 0, NULL);
}

// The upper part of a directory that is empty for the user holds nothing but marks.
static int remove_marks(struct dentry *dir)
{
    while (!list_empty(&dir->children)) {
        struct dentry *mark = dentry_get(list_first(&dir->children, struct dentry, sibling));
        int err = raw_unlink(mark);
        dentry_put(mark);
        if (err)
            return err;
    }
    return 0;
}

int raw_clear(struct dentry *dir, const char *name, size_t len)
{
    struct dentry *d = raw_lookup(dir, name, len);

    if (!d)
        return 0;
    int err = S_ISDIR(d->inode->mode) ? remove_marks(d) : 0;
    if (!err)
        err = raw_unlink(d);
    dentry_put(d);
    return err;
}
