// Names: open(2), mkdir(2), unlink(2), rename(2), link(2), symlink(2), mknod(2).
#include <linux/fs.h>
#include "container/ns/ns.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/fs/namei.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/syscall/name.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/cred.h"

long sys_openat(int dirfd, const char *path, int flags, u32 mode)
{
    char *name = name_get(path);

    if (IS_ERR(name))
        return PTR_ERR(name);
    struct file *f = path_open_at(dirfd, name, flags, mode);
    name_put(name);
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(f, flags & O_CLOEXEC);
}

long sys_open(const char *path, int flags, u32 mode)
{
    return sys_openat(AT_FDCWD, path, flags, mode);
}

long sys_creat(const char *path, u32 mode)
{
    return sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

static bool is_dots(const struct path_last *last)
{
    return strcmp(last->name, ".") == 0 || strcmp(last->name, "..") == 0;
}

// May a new name be made here? That it exists already is said first.
static int want_new(const struct path *parent, const struct path_last *last, bool directory)
{
    if (!last->len || is_dots(last))
        return -EEXIST;
    int err = mount_want_write(parent->mount);
    if (!err && (directory || !last->slash))
        return 0;
    struct dentry *d = vfs_lookup(parent->dentry, last->name, last->len);
    if (d && IS_ERR(d))
        return PTR_ERR(d);
    if (d)
        dentry_put(d);
    return d ? -EEXIST : err ? err : -ENOENT;
}

static long create_at(int dirfd, const char *path, u32 mode, u64 dev)
{
    struct path_last last;
    struct path parent;
    long err = user_path_parent(dirfd, path, &parent, &last);

    if (err)
        return err;
    err = want_new(&parent, &last, S_ISDIR(mode));
    if (!err)
        err =
            vfs_create(parent.dentry, last.name, last.len, mode & ~fs_current()->umask, dev, NULL);
    path_put(&parent);
    return err;
}

long sys_mkdirat(int dirfd, const char *path, u32 mode)
{
    return create_at(dirfd, path, S_IFDIR | (mode & 01777), 0);
}

long sys_mkdir(const char *path, u32 mode)
{
    return sys_mkdirat(AT_FDCWD, path, mode);
}

// A device with the number 0/0 is a whiteout and opens nothing: anybody may make one.
long sys_mknodat(int dirfd, const char *path, u32 mode, u64 dev)
{
    switch (mode & S_IFMT) {
    case 0:
        mode |= S_IFREG;
        break;
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    case S_IFCHR:
    case S_IFBLK:
        if (!(S_ISCHR(mode) && dev == 0) && !capable(CAP_MKNOD))
            return -EPERM;
        break;
    default:
        return S_ISDIR(mode) ? -EPERM : -EINVAL;
    }
    bool device = S_ISCHR(mode) || S_ISBLK(mode);
    return create_at(dirfd, path, mode & (S_IFMT | 07777), device ? dev : 0);
}

long sys_mknod(const char *path, u32 mode, u64 dev)
{
    return sys_mknodat(AT_FDCWD, path, mode, dev);
}

static int remove_special(const struct path_last *last, bool directory)
{
    if (!directory)
        return -EISDIR;
    return !last->len ? -EBUSY : last->len == 1 ? -EINVAL : -ENOTEMPTY;
}

static long remove_found(const struct path *parent, const struct path_last *last, bool directory)
{
    struct dentry *d = vfs_lookup(parent->dentry, last->name, last->len);

    if (!d)
        return -ENOENT;
    if (IS_ERR(d))
        return PTR_ERR(d);
    long err = mount_want_write(parent->mount);
    if (!err && !directory && last->slash)
        err = S_ISDIR(d->inode->mode) ? -EISDIR : -ENOTDIR;
    if (!err)
        err = vfs_unlink(d, directory);
    dentry_put(d);
    return err;
}

long sys_unlinkat(int dirfd, const char *path, int flags)
{
    struct path_last last;
    struct path parent;
    bool directory = flags & AT_REMOVEDIR;

    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    long err = user_path_parent(dirfd, path, &parent, &last);
    if (err)
        return err;
    err = !last.len || is_dots(&last) ? remove_special(&last, directory)
                                      : remove_found(&parent, &last, directory);
    path_put(&parent);
    return err;
}

long sys_unlink(const char *path)
{
    return sys_unlinkat(AT_FDCWD, path, 0);
}

long sys_rmdir(const char *path)
{
    return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

static long rename_found(const struct path *from, const struct path_last *old,
                         const struct path *to, const struct path_last *new, u32 flags)
{
    if (from->mount != to->mount)
        return -EXDEV;
    if (!old->len || is_dots(old))
        return -EBUSY;
    if (!new->len || is_dots(new))
        return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    long err = mount_want_write(from->mount);
    if (err)
        return err;
    struct dentry *d = vfs_lookup(from->dentry, old->name, old->len);
    if (!d)
        return -ENOENT;
    if (IS_ERR(d))
        return PTR_ERR(d);
    u32 slashes = (old->slash ? SLASH_OLD : 0) | (new->slash ? SLASH_NEW : 0);
    err = vfs_rename(d, to->dentry, new->name, new->len, slashes, flags);
    dentry_put(d);
    return err;
}

long sys_renameat2(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, u32 flags)
{
    struct path_last old, new;
    struct path from, to;

    if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
        flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    long err = user_path_parent(olddirfd, oldpath, &from, &old);

    if (err)
        return err;
    err = user_path_parent(newdirfd, newpath, &to, &new);
    if (!err) {
        err = rename_found(&from, &old, &to, &new, flags);
        path_put(&to);
    }
    path_put(&from);
    return err;
}

long sys_renameat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath)
{
    return sys_renameat2(olddirfd, oldpath, newdirfd, newpath, 0);
}

long sys_rename(const char *oldpath, const char *newpath)
{
    return sys_renameat2(AT_FDCWD, oldpath, AT_FDCWD, newpath, 0);
}

static long link_found(const struct path *target, int newdirfd, const char *newpath)
{
    struct path_last last;
    struct path parent;
    long err = user_path_parent(newdirfd, newpath, &parent, &last);

    if (err)
        return err;
    err = want_new(&parent, &last, false);
    if (!err && parent.mount != target->mount)
        err = -EXDEV;
    if (!err)
        err = vfs_link(parent.dentry, last.name, last.len, target->dentry);
    path_put(&parent);
    return err;
}

long sys_linkat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, int flags)
{
    struct path target;

    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    u32 lookup = (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) |
                 (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    long err = user_path_at(olddirfd, oldpath, lookup, &target);
    if (err)
        return err;
    err = link_found(&target, newdirfd, newpath);
    path_put(&target);
    return err;
}

long sys_link(const char *oldpath, const char *newpath)
{
    return sys_linkat(AT_FDCWD, oldpath, AT_FDCWD, newpath, 0);
}

static long symlink_to(const char *target, int newdirfd, const char *linkpath)
{
    struct path_last last;
    struct path parent;
    long err = *target ? user_path_parent(newdirfd, linkpath, &parent, &last) : -ENOENT;

    if (err)
        return err;
    err = want_new(&parent, &last, false);
    if (!err)
        err = vfs_symlink(parent.dentry, last.name, last.len, target, NULL);
    path_put(&parent);
    return err;
}

long sys_symlinkat(const char *target, int newdirfd, const char *linkpath)
{
    char *text = name_get(target);

    if (IS_ERR(text))
        return PTR_ERR(text);
    long err = symlink_to(text, newdirfd, linkpath);
    name_put(text);
    return err;
}

long sys_symlink(const char *target, const char *linkpath)
{
    return sys_symlinkat(target, AT_FDCWD, linkpath);
}
