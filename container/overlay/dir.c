// Changing directories of an overlay. The caller (kernel/fs/namei.c) has checked permissions and
// copied the directories up.
#include <linux/fs.h>
#include "container/overlay/overlay.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"

// A new directory must not show what a lower layer has under its name.
static int make_opaque(struct dentry *dir)
{
    return raw_create(dir, OVERLAY_OPAQUE, strlen(OVERLAY_OPAQUE), S_IFREG | 0400, 0, NULL);
}

static int finish(struct inode *dir, struct dentry *upper, struct inode **out)
{
    struct overlay_node *n = overlay_node_new(upper, 0);

    *out = n ? overlay_inode(dir->super, n) : NULL;
    overlay_refresh(dir);
    return *out ? 0 : -ENOMEM;
}

static bool reserved(const char *name, size_t len)
{
    return len == strlen(OVERLAY_OPAQUE) && memcmp(name, OVERLAY_OPAQUE, len) == 0;
}

static int create(struct inode *dir, const char *name, size_t len, u32 mode, u64 rdev,
                  struct inode **out)
{
    struct dentry *updir = node_of(dir)->upper, *d;
    int err = reserved(name, len) ? -EINVAL : raw_clear(updir, name, len);

    if (!err)
        err = raw_create(updir, name, len, mode, rdev, &d);
    if (err)
        return err;
    if (S_ISDIR(mode) && overlay_below_has(dir, name, len))
        err = make_opaque(d);
    if (!err)
        return finish(dir, d, out);
    raw_unlink(d);
    dentry_put(d);
    return err;
}

static int symlink(struct inode *dir, const char *name, size_t len, const char *target,
                   struct inode **out)
{
    struct dentry *updir = node_of(dir)->upper, *d;
    int err = raw_clear(updir, name, len);

    if (!err)
        err = raw_symlink(updir, name, len, target, &d);
    return err ? err : finish(dir, d, out);
}

static int link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
    struct dentry *updir = node_of(dir)->upper;
    int err = raw_clear(updir, name, len);

    if (!err)
        err = raw_link(updir, name, len, node_of(target)->upper);
    overlay_refresh(target);
    overlay_refresh(dir);
    return err;
}

// Takes a name out of the upper layer, and hides it in the lower ones.
static int take_away(struct inode *dir, const char *name, size_t len)
{
    struct dentry *updir = node_of(dir)->upper;
    int err = raw_clear(updir, name, len);

    if (!err && overlay_below_has(dir, name, len))
        err = raw_whiteout(updir, name, len);
    overlay_refresh(dir);
    return err;
}

static void lost_name(struct inode *i)
{
    if (node_of(i)->upper)
        overlay_refresh(i);
    else
        i->nlink = 0;
}

static int unlink(struct inode *dir, const char *name, size_t len, struct inode *target)
{
    if (S_ISDIR(target->mode) && !overlay_dir_empty(target))
        return -ENOTEMPTY;
    int err = take_away(dir, name, len);
    if (err)
        return err;
    lost_name(target);
    return 0;
}

static int move(struct dentry *old, struct dentry *new_dir, const char *name, size_t len)
{
    struct dentry *from = node_of(old->inode)->upper, *to = node_of(new_dir->inode)->upper;
    struct dentry *d = raw_lookup(node_of(old->parent->inode)->upper, old->name, old->len);

    if (!d)
        return -ENOENT;
    int err = d->inode != from->inode ? -ENOENT
              : d->parent->inode->ops->rename
                  ? d->parent->inode->ops->rename(d, to, name, len, NULL, 0)
                  : -EPERM;
    if (!err)
        err = dentry_move(d, to, name, len);
    dentry_put(d);
    return err;
}

static int rename(struct dentry *old, struct dentry *new_dir, const char *name, size_t len,
                  struct dentry *target, u32 flags)
{
    struct inode *old_parent = old->parent->inode;
    bool directory = S_ISDIR(old->inode->mode);

    if ((flags & RENAME_EXCHANGE) || reserved(name, len))
        return -EINVAL;
    if (directory && node_of(old->inode)->lowers)
        return -EXDEV;
    if (target && S_ISDIR(target->inode->mode) && !overlay_dir_empty(target->inode))
        return -ENOTEMPTY;
    int err = overlay_copy_up(old);
    if (!err)
        err = raw_clear(node_of(new_dir->inode)->upper, name, len);
    if (!err)
        err = move(old, new_dir, name, len);
    if (!err && directory && overlay_below_has(new_dir->inode, name, len)) {
        struct dentry *mark =
            raw_lookup(node_of(old->inode)->upper, OVERLAY_OPAQUE, strlen(OVERLAY_OPAQUE));
        if (mark)
            dentry_put(mark);
        else
            err = make_opaque(node_of(old->inode)->upper);
    }
    if (!err && overlay_below_has(old_parent, old->name, old->len))
        err = raw_whiteout(node_of(old_parent)->upper, old->name, old->len);
    if (target && !err)
        lost_name(target->inode);
    overlay_refresh(old_parent);
    overlay_refresh(new_dir->inode);
    return err;
}

static long readlink(struct inode *link, char *buf, size_t size)
{
    struct inode *real = overlay_real(link).dentry->inode;
    return real->ops->readlink(real, buf, size);
}

static int truncate(struct inode *i, u64 size)
{
    struct dentry *upper = node_of(i)->upper;
    int err = upper ? file_truncate(upper->inode, size) : -EROFS;

    overlay_refresh(i);
    return err;
}

static int allocate(struct inode *i, u32 mode, u64 offset, u64 len)
{
    struct dentry *upper = node_of(i)->upper;

    if (!upper || !upper->inode->ops->allocate)
        return -EOPNOTSUPP;
    int err = upper->inode->ops->allocate(upper->inode, mode, offset, len);
    overlay_refresh(i);
    return err;
}

static s64 seek_data(struct inode *i, u64 offset, bool data)
{
    struct inode *real = overlay_real(i).dentry->inode;

    if (real->ops->seek_data)
        return real->ops->seek_data(real, offset, data);
    return data ? (s64)offset : (s64)i->size;
}

static int setattr(struct inode *i)
{
    struct dentry *upper = node_of(i)->upper;

    if (!upper)
        return 0;
    struct inode *real = upper->inode;
    real->mode = i->mode;
    real->uid = i->uid;
    real->gid = i->gid;
    real->atime = i->atime;
    real->mtime = i->mtime;
    real->ctime = i->ctime;
    return real->ops->setattr ? real->ops->setattr(real) : 0;
}

static void evict(struct inode *i)
{
    if (i->private)
        overlay_node_free(i->private);
}

const struct inode_ops overlay_inode_ops = {
    .lookup = overlay_lookup,
    .create = create,
    .symlink = symlink,
    .link = link,
    .unlink = unlink,
    .rename = rename,
    .readlink = readlink,
    .truncate = truncate,
    .allocate = allocate,
    .seek_data = seek_data,
    .setattr = setattr,
    .prepare_write = overlay_copy_up,
    .refresh = overlay_refresh,
    .evict = evict,
};
