// What files are: stat(2), statfs(2), access(2).
#include <asm/stat.h>
#include <asm/statfs.h>
#include "container/ns/ns.h"
#include "kernel/fs/dentry.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/name.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/task.h"

static_assert(sizeof(struct stat) == 144, "stat(2), x86-64");
static_assert(sizeof(struct statfs) == 120, "statfs(2), x86-64");

static u32 shown_id(bool gid, u32 id)
{
    const struct user_ns *ns = current()->cred->user_ns;
    return ns == &init_user_ns ? id : map_id_out(ns, gid, id);
}

static long stat_inode(struct inode *i, void __user *buf)
{
    if (i->ops && i->ops->refresh)
        i->ops->refresh(i);
    struct stat st = {
        .st_dev = i->super ? i->super->dev : 0,
        .st_ino = i->ino,
        .st_nlink = i->nlink,
        .st_mode = i->mode,
        .st_uid = shown_id(false, i->uid),
        .st_gid = shown_id(true, i->gid),
        .st_rdev = i->rdev,
        .st_size = i->size,
        .st_blksize = PAGE_SIZE,
        .st_blocks = i->blocks,
        .st_atime = i->atime.sec,
        .st_atime_nsec = i->atime.nsec,
        .st_mtime = i->mtime.sec,
        .st_mtime_nsec = i->mtime.nsec,
        .st_ctime = i->ctime.sec,
        .st_ctime_nsec = i->ctime.nsec,
    };
    return copy_to_user(buf, &st, sizeof(st));
}

// A file of no file system (eventfd, …).
static long stat_nameless(void __user *buf)
{
    struct stat st = {.st_nlink = 1, .st_mode = 0600, .st_blksize = PAGE_SIZE, .st_ino = 1};
    return copy_to_user(buf, &st, sizeof(st));
}

long sys_fstat(int fd, void *statbuf)
{
    struct file *f = fd_get_any(fd);

    if (!f)
        return -EBADF;
    long err = f->inode ? stat_inode(f->inode, statbuf) : stat_nameless(statbuf);
    file_put(f);
    return err;
}

long sys_newfstatat(int dirfd, const char *path, void *statbuf, int flags)
{
    struct path p;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
        return -EINVAL;
    if ((flags & AT_EMPTY_PATH) && dirfd >= 0) {
        char first;
        if (get_user(first, path))
            return -EFAULT;
        if (!first)
            return sys_fstat(dirfd, statbuf);
    }
    long err = user_path_at(dirfd, path, lookup_flags(flags), &p);
    if (err)
        return err;
    err = stat_inode(p.dentry->inode, statbuf);
    path_put(&p);
    return err;
}

long sys_stat(const char *path, void *statbuf)
{
    return sys_newfstatat(AT_FDCWD, path, statbuf, 0);
}

long sys_lstat(const char *path, void *statbuf)
{
    return sys_newfstatat(AT_FDCWD, path, statbuf, AT_SYMLINK_NOFOLLOW);
}

// The kernel's ST_* flags are the MS_* flags, with one more that says they are valid.
static long statfs_super(struct super *s, u32 mount_flags, void __user *buf)
{
    struct statfs st = {
        .f_type = s ? s->type->magic : 0x09041934, // ANON_INODE_FS_MAGIC
        .f_bsize = PAGE_SIZE,
        .f_frsize = PAGE_SIZE,
        .f_namelen = NAME_MAX_K,
        .f_flags = 0x20 | (mount_flags & 15),
    };
    int err = s && s->type->statfs ? s->type->statfs(s, &st) : 0;
    return err ? err : copy_to_user(buf, &st, sizeof(st));
}

long sys_statfs(const char *path, void *buf)
{
    struct path p;
    long err = user_path_at(AT_FDCWD, path, LOOKUP_FOLLOW, &p);

    if (err)
        return err;
    err = statfs_super(p.mount->super, p.mount->flags, buf);
    path_put(&p);
    return err;
}

long sys_fstatfs(int fd, void *buf)
{
    struct file *f = fd_get_any(fd);

    if (!f)
        return -EBADF;
    struct mount *m = f->path.mount;
    long err = statfs_super(m ? m->super : NULL, m ? m->flags : 0, buf);
    file_put(f);
    return err;
}

static int may_access(const struct path *p, int mode)
{
    struct inode *i = p->dentry->inode;
    bool data = S_ISREG(i->mode) || S_ISDIR(i->mode) || S_ISLNK(i->mode);
    int err = mode & MAY_WRITE && data ? mount_want_write(p->mount) : 0;

    if (!err && (mode & MAY_EXEC) && S_ISREG(i->mode) && (p->mount->flags & MS_NOEXEC))
        err = -EACCES;
    return err ? err : inode_permission(i, mode);
}

static long access_path(int dirfd, const char *path, int mode, int flags)
{
    struct path p;
    long err = user_path_at(dirfd, path, lookup_flags(flags), &p);

    if (err)
        return err;
    err = mode ? may_access(&p, mode) : 0;
    path_put(&p);
    return err;
}

// access(2) asks for the real user: a set-user-ID program wants to know what its caller may do.
long sys_faccessat2(int dirfd, const char *path, int mode, int flags)
{
    struct cred *old = current()->cred;

    if (mode & ~7 || flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if ((flags & AT_EACCESS) || (old->uid == old->fsuid && old->gid == old->fsgid))
        return access_path(dirfd, path, mode, flags);
    struct cred *real = cred_copy(old);
    if (!real)
        return -ENOMEM;
    real->fsuid = real->uid;
    real->fsgid = real->gid;
    real->cap_effective = map_id_out(real->user_ns, false, real->uid) ? 0 : real->cap_permitted;
    current()->cred = real;
    long err = access_path(dirfd, path, mode, flags);
    current()->cred = old;
    cred_put(real);
    return err;
}

long sys_faccessat(int dirfd, const char *path, int mode)
{
    return sys_faccessat2(dirfd, path, mode, 0);
}

long sys_access(const char *path, int mode)
{
    return sys_faccessat2(AT_FDCWD, path, mode, 0);
}
