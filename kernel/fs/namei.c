// Changes of the name space. See namei.h.
#include "kernel/fs/namei.h"
#include <linux/fs.h>
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/task/task.h"

struct dentry *vfs_lookup(struct dentry *dir, const char *name, size_t len)
{
    if (!S_ISDIR(dir->inode->mode))
        return ERR_PTR(-ENOTDIR);
    int err = inode_permission(dir->inode, MAY_EXEC);
    if (!err && len > NAME_MAX_K)
        err = -ENAMETOOLONG;
    return err ? ERR_PTR(err) : dentry_lookup(dir, name, len, name_hash(name, len));
}

int vfs_prepare_write(struct dentry *d)
{
    const struct inode_ops *ops = d->inode->ops;
    return ops && ops->prepare_write ? ops->prepare_write(d) : 0;
}

static int may_create(struct dentry *dir)
{
    if (dir->deleted)
        return -ENOENT;
    int err = inode_permission(dir->inode, MAY_WRITE | MAY_EXEC);
    return err ? err : vfs_prepare_write(dir);
}

// The sticky bit: only the owner of the file or of the directory may take a name away.
static bool sticky_forbids(struct inode *dir, struct inode *victim)
{
    const struct cred *cred = current() ? current()->cred : NULL;

    return (dir->mode & S_ISVTX) && cred && cred->fsuid != victim->uid && cred->fsuid != dir->uid &&
           !inode_capable(victim, CAP_FOWNER);
}

static int may_delete(struct dentry *d, bool directory)
{
    struct inode *dir = d->parent->inode;
    int err = inode_permission(dir, MAY_WRITE | MAY_EXEC);

    if (err)
        return err;
    if (sticky_forbids(dir, d->inode))
        return -EPERM;
    if (directory && !S_ISDIR(d->inode->mode))
        return -ENOTDIR;
    if (!directory && S_ISDIR(d->inode->mode))
        return -EISDIR;
    if (d == d->parent || d->mounted)
        return -EBUSY;
    return vfs_prepare_write(d->parent);
}

struct dentry *vfs_attach(struct dentry *dir, const char *name, size_t len, struct inode *inode)
{
    inode_get(inode);
    struct dentry *d = dentry_attach(dir, name, len, inode);
    if (!d)
        dir->inode->ops->unlink(dir->inode, name, len, inode);
    inode_put(inode);
    return d;
}

static int finish_create(struct dentry *dir, const char *name, size_t len, struct inode *inode,
                         struct dentry **out)
{
    if (dir->inode->mode & S_ISGID) {
        inode->gid = dir->inode->gid;
        if (S_ISDIR(inode->mode))
            inode->mode |= S_ISGID;
        if (inode->ops->setattr)
            inode->ops->setattr(inode);
    }
    inode_touch(dir->inode);
    struct dentry *d = vfs_attach(dir, name, len, inode);
    if (!d)
        return -ENOMEM;
    if (out)
        *out = d;
    else
        dentry_put(d);
    return 0;
}

static int must_be_free(struct dentry *dir, const char *name, size_t len)
{
    struct dentry *d = vfs_lookup(dir, name, len);

    if (!d)
        return 0;
    if (IS_ERR(d))
        return PTR_ERR(d);
    dentry_put(d);
    return -EEXIST;
}

int vfs_create_missing(struct dentry *dir, const char *name, size_t len, u32 mode, u64 rdev,
                       struct dentry **out)
{
    struct inode *inode;
    int err = may_create(dir);

    if (err)
        return err;
    if (!dir->inode->ops->create) // as Linux tells them apart
        return S_ISREG(mode) ? -EACCES : -EPERM;
    err = dir->inode->ops->create(dir->inode, name, len, mode, rdev, &inode);
    return err ? err : finish_create(dir, name, len, inode, out);
}

int vfs_create(struct dentry *dir, const char *name, size_t len, u32 mode, u64 rdev,
               struct dentry **out)
{
    int err = must_be_free(dir, name, len);
    return err ? err : vfs_create_missing(dir, name, len, mode, rdev, out);
}

int vfs_symlink(struct dentry *dir, const char *name, size_t len, const char *target,
                struct dentry **out)
{
    struct inode *inode;
    int err = must_be_free(dir, name, len);

    if (!err)
        err = may_create(dir);
    if (!err && !dir->inode->ops->symlink)
        err = -EPERM;
    if (!err)
        err = dir->inode->ops->symlink(dir->inode, name, len, target, &inode);
    return err ? err : finish_create(dir, name, len, inode, out);
}

// As Linux with fs.protected_hardlinks: whoever may neither own nor use a file must not keep it
// alive.
static bool may_link(struct inode *i)
{
    bool privileged = (i->mode & S_ISUID) || (i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);

    return inode_owner(i) ||
           (S_ISREG(i->mode) && !privileged && inode_permission(i, MAY_READ | MAY_WRITE) == 0);
}

int vfs_link(struct dentry *dir, const char *name, size_t len, struct dentry *target)
{
    struct inode *inode = target->inode;
    int err = must_be_free(dir, name, len);

    if (!err && !may_link(inode))
        err = -EPERM;
    if (!err)
        err = may_create(dir);
    if (err)
        return err;
    if (inode->super != dir->inode->super)
        return -EXDEV;
    if (S_ISDIR(inode->mode) || !dir->inode->ops->link)
        return -EPERM;
    if (!inode->nlink)
        return -ENOENT;
    err = vfs_prepare_write(target);
    if (!err)
        err = dir->inode->ops->link(dir->inode, name, len, inode);
    if (err)
        return err;
    inode->ctime = time_now();
    inode_touch(dir->inode);
    struct dentry *d = vfs_attach(dir, name, len, inode_get(inode));
    if (!d)
        return -ENOMEM;
    dentry_put(d);
    return 0;
}

int vfs_unlink(struct dentry *d, bool directory)
{
    struct inode *dir = d->parent->inode;
    int err = may_delete(d, directory);

    if (err)
        return err;
    if (!dir->ops->unlink)
        return -EPERM;
    err = dir->ops->unlink(dir, d->name, d->len, d->inode);
    if (err)
        return err;
    d->inode->ctime = time_now();
    inode_touch(dir);
    dentry_unlink(d);
    return 0;
}

static bool within(const struct dentry *d, const struct dentry *top)
{
    while (d != top && d != d->parent)
        d = d->parent;
    return d == top;
}

static int may_rename(struct dentry *old, struct dentry *new_dir, struct dentry *target, u32 flags)
{
    bool directory = S_ISDIR(old->inode->mode);

    if (directory && within(new_dir, old))
        return -EINVAL;
    if (target && within(old->parent, target))
        return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    int err = may_delete(old, directory);

    if (!err)
        err = target ? may_delete(target, flags & RENAME_EXCHANGE ? S_ISDIR(target->inode->mode)
                                                                  : directory)
                     : may_create(new_dir);
    if (err)
        return err;
    // ".." of a directory changes: it must be writable itself.
    if (directory && new_dir != old->parent)
        return inode_permission(old->inode, MAY_WRITE);
    return 0;
}

static int exchange(struct dentry *a, struct dentry *b)
{
    struct dentry *a_dir = dentry_get(a->parent);
    char name[NAME_MAX_K + 1];
    size_t len = a->len;

    memcpy(name, a->name, len);
    int err = dentry_move(a, b->parent, b->name, b->len);
    if (!err)
        err = dentry_move(b, a_dir, name, len);
    dentry_put(a_dir);
    return err;
}

static int rename_to(struct dentry *old, struct dentry *new_dir, const char *name, size_t len,
                     struct dentry *target, u32 flags)
{
    struct dentry *old_dir = old->parent;

    if (target && target->inode == old->inode)
        return 0;
    int err = may_rename(old, new_dir, target, flags);
    if (err)
        return err;
    if (!old_dir->inode->ops->rename)
        return -EPERM;
    err = old_dir->inode->ops->rename(old, new_dir, name, len, target, flags);
    if (err)
        return err;
    inode_touch(old_dir->inode);
    inode_touch(new_dir->inode);
    old->inode->ctime = time_now();
    if (flags & RENAME_EXCHANGE)
        return exchange(old, target);
    if (target)
        dentry_unlink(target);
    return dentry_move(old, new_dir, name, len);
}

// Names that end in '/' must be directories', or become one.
static bool slash_forbids(const struct dentry *old, const struct dentry *target, u32 slashes,
                          u32 flags)
{
    bool directory = S_ISDIR(old->inode->mode);

    if (flags & RENAME_EXCHANGE)
        return (!directory && (slashes & SLASH_OLD)) ||
               (!S_ISDIR(target->inode->mode) && (slashes & SLASH_NEW));
    return !directory && slashes;
}

int vfs_rename(struct dentry *old, struct dentry *new_dir, const char *name, size_t len,
               u32 slashes, u32 flags)
{
    if (old->super != new_dir->super)
        return -EXDEV;
    struct dentry *target = vfs_lookup(new_dir, name, len);
    if (IS_ERR(target))
        return PTR_ERR(target);
    int err;
    if (target && (flags & RENAME_NOREPLACE))
        err = -EEXIST;
    else if (!target && (flags & RENAME_EXCHANGE))
        err = -ENOENT;
    else if (slash_forbids(old, target, slashes, flags))
        err = -ENOTDIR;
    else
        err = rename_to(old, new_dir, name, len, target, flags);
    if (target)
        dentry_put(target);
    return err;
}
