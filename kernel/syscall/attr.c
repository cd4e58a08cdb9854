// Changing what files are: chmod(2), chown(2), utimensat(2).
#include "container/ns/ns.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/fs/namei.h"
#include "kernel/lib/err.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/name.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/task.h"

#define UTIME_NOW ((1L << 30) - 1) // utimensat(2); not in the UAPI headers
#define UTIME_OMIT ((1L << 30) - 2)

struct change {
    enum { MODE, OWNER, TIMES } what;
    u32 mode, uid, gid;         // (u32)-1: as it is
    struct timespec_k times[2]; // access, modification
    bool now;                   // both times to now, which a writer may do too
};

static bool in_groups(u32 gid)
{
    const struct cred *cred = current()->cred;

    if (cred->fsgid == gid)
        return true;
    for (u32 n = 0; n < cred->ngroups; n++)
        if (cred->groups[n] == gid)
            return true;
    return false;
}

static int set_mode(struct inode *i, const struct change *c)
{
    u32 mode = c->mode & 07777;

    if (!inode_owner(i))
        return -EPERM;
    if (!in_groups(i->gid) && !inode_capable(i, CAP_FSETID))
        mode &= ~S_ISGID;
    i->mode = (i->mode & S_IFMT) | mode;
    return 0;
}

static int set_owner(struct inode *i, const struct change *c)
{
    bool owner = current()->cred->fsuid == i->uid;
    bool set_uid = c->uid != (u32)-1, set_gid = c->gid != (u32)-1;
    bool free_uid = !set_uid || (owner && c->uid == i->uid);
    bool free_gid = !set_gid || (owner && (c->gid == i->gid || in_groups(c->gid)));

    if (!(free_uid && free_gid) && !inode_capable(i, CAP_CHOWN))
        return -EPERM;
    u32 mode = i->mode;
    if (!S_ISDIR(mode)) {
        mode &= ~S_ISUID;
        if ((mode & S_IXGRP) || (!in_groups(i->gid) && !inode_capable(i, CAP_FSETID)))
            mode &= ~S_ISGID;
    }
    if (mode != i->mode && !inode_owner(i))
        return -EPERM;
    i->mode = mode;
    if (set_uid)
        i->uid = c->uid;
    if (set_gid)
        i->gid = c->gid;
    return 0;
}

static int set_times(struct inode *i, const struct change *c)
{
    if (!inode_owner(i)) {
        if (!c->now)
            return -EPERM;
        int err = inode_permission(i, MAY_WRITE);
        if (err)
            return err;
    }
    for (int n = 0; n < 2; n++) {
        struct timespec_k *t = n ? &i->mtime : &i->atime;
        if (c->times[n].nsec == UTIME_NOW)
            *t = time_now();
        else if (c->times[n].nsec != UTIME_OMIT)
            *t = c->times[n];
    }
    return 0;
}

static long change_path(const struct path *p, const struct change *c)
{
    static int (*const set[])(struct inode *, const struct change *) = {set_mode, set_owner,
                                                                        set_times};
    struct inode *i = p->dentry->inode;
    int err = mount_want_write(p->mount);

    if (!err)
        err = vfs_prepare_write(p->dentry);
    if (!err)
        err = set[c->what](i, c);
    if (err)
        return err;
    i->ctime = time_now();
    return i->ops && i->ops->setattr ? i->ops->setattr(i) : 0;
}

static long change_at(int dirfd, const char *path, int flags, const struct change *c)
{
    struct path p;
    long err = user_path_at(dirfd, path, lookup_flags(flags), &p);

    if (err)
        return err;
    err = change_path(&p, c);
    path_put(&p);
    return err;
}

static long change_fd(int fd, const struct change *c)
{
    struct file *f = fd_get(fd);

    if (!f)
        return -EBADF;
    long err = f->path.mount ? change_path(&f->path, c) : 0;
    file_put(f);
    return err;
}

static struct change mode_change(u32 mode)
{
    return (struct change){.what = MODE, .mode = mode};
}

long sys_fchmodat(int dirfd, const char *path, u32 mode)
{
    struct change c = mode_change(mode);
    return change_at(dirfd, path, 0, &c);
}

long sys_chmod(const char *path, u32 mode)
{
    return sys_fchmodat(AT_FDCWD, path, mode);
}

long sys_fchmod(int fd, u32 mode)
{
    struct change c = mode_change(mode);
    return change_fd(fd, &c);
}

// Ids as the caller's namespace has them. -EINVAL for one that it does not map.
static int owner_change(struct change *c, u32 uid, u32 gid)
{
    const struct user_ns *ns = current()->cred->user_ns;

    *c = (struct change){.what = OWNER, .uid = uid, .gid = gid};
    if (uid != (u32)-1 && (c->uid = map_id_in(ns, false, uid)) == (u32)-1)
        return -EINVAL;
    if (gid != (u32)-1 && (c->gid = map_id_in(ns, true, gid)) == (u32)-1)
        return -EINVAL;
    return 0;
}

long sys_fchownat(int dirfd, const char *path, u32 uid, u32 gid, int flags)
{
    struct change c;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    int err = owner_change(&c, uid, gid);
    return err ? err : change_at(dirfd, path, flags, &c);
}

long sys_chown(const char *path, u32 uid, u32 gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, 0);
}

long sys_lchown(const char *path, u32 uid, u32 gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(int fd, u32 uid, u32 gid)
{
    struct change c;
    int err = owner_change(&c, uid, gid);

    return err ? err : change_fd(fd, &c);
}

static bool valid_nsec(s64 nsec)
{
    return (nsec >= 0 && nsec < 1000000000) || nsec == UTIME_NOW || nsec == UTIME_OMIT;
}

static long set_file_times(int dirfd, const char *path, struct change *c, int flags)
{
    if (!valid_nsec(c->times[0].nsec) || !valid_nsec(c->times[1].nsec))
        return -EINVAL;
    c->what = TIMES;
    c->now = c->times[0].nsec == UTIME_NOW && c->times[1].nsec == UTIME_NOW;
    if (!path)
        return dirfd == AT_FDCWD ? -EFAULT : change_fd(dirfd, c);
    return change_at(dirfd, path, flags, c);
}

static void times_now(struct change *c)
{
    c->times[0].nsec = c->times[1].nsec = UTIME_NOW;
}

long sys_utimensat(int dirfd, const char *path, const void *times, int flags)
{
    struct change c = {};

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (!times)
        times_now(&c);
    else if (copy_from_user(c.times, times, sizeof(c.times)))
        return -EFAULT;
    return set_file_times(dirfd, path, &c, flags);
}

long sys_utimes(const char *path, const void *times)
{
    struct change c = {};

    if (!times)
        times_now(&c);
    else if (copy_from_user(c.times, times, sizeof(c.times)))
        return -EFAULT;
    else
        for (int n = 0; n < 2; n++) { // microseconds
            if (c.times[n].nsec < 0 || c.times[n].nsec >= 1000000)
                return -EINVAL;
            c.times[n].nsec *= 1000;
        }
    return set_file_times(AT_FDCWD, path, &c, 0);
}

long sys_utime(const char *path, const void *times)
{
    struct change c = {};
    s64 seconds[2];

    if (!times)
        times_now(&c);
    else if (copy_from_user(seconds, times, sizeof(seconds)))
        return -EFAULT;
    else {
        c.times[0].sec = seconds[0];
        c.times[1].sec = seconds[1];
    }
    return set_file_times(AT_FDCWD, path, &c, 0);
}
