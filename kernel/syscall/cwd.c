// Where a task is and what directories hold: chdir(2), chroot(2), getcwd(2), getdents64(2),
// readlink(2).
#include "container/ns/ns.h"
#include "kernel/fs/dentry.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/name.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/task.h"

#define DENTS_MAX 8192

// Takes over the reference to *p.
static long set_place(struct path *place, struct path *p)
{
    long err = inode_permission(p->dentry->inode, MAY_EXEC);

    if (err) {
        path_put(p);
        return err;
    }
    path_put(place);
    *place = *p;
    return 0;
}

long sys_chdir(const char *path)
{
    struct path p;
    long err = user_path_at(AT_FDCWD, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

    return err ? err : set_place(&current()->fs->cwd, &p);
}

long sys_fchdir(int fd)
{
    struct file *f = fd_get_any(fd);

    if (!f)
        return -EBADF;
    struct path p = f->path;
    bool directory = p.mount && S_ISDIR(p.dentry->inode->mode);
    if (directory)
        path_get(&p);
    file_put(f);
    return directory ? set_place(&current()->fs->cwd, &p) : -ENOTDIR;
}

long sys_chroot(const char *path)
{
    struct path p;
    long err = user_path_at(AT_FDCWD, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

    if (err)
        return err;
    if (!ns_capable(current()->cred->user_ns, CAP_SYS_CHROOT)) {
        path_put(&p);
        return -EPERM;
    }
    return set_place(&current()->fs->root, &p);
}

long sys_getcwd(char *buf, size_t size)
{
    struct fs_context *fs = current()->fs;
    char *page = fs->cwd.dentry->deleted ? ERR_PTR(-ENOENT) : kmalloc(PATH_MAX_K);

    if (!page || IS_ERR(page))
        return page ? PTR_ERR(page) : -ENOMEM;
    char *text = path_text(&fs->cwd, &fs->root, page, PATH_MAX_K);
    long n = IS_ERR(text) ? PTR_ERR(text) : (long)strlen(text) + 1;
    if (n > 0 && (size_t)n > size)
        n = -ERANGE;
    if (n > 0 && copy_to_user(buf, text, n))
        n = -EFAULT;
    kfree(page);
    return n;
}

long sys_umask(u32 mask)
{
    struct fs_context *fs = current()->fs;
    u32 old = fs->umask;

    fs->umask = mask & 0777;
    return old;
}

struct dirent_k { // struct linux_dirent64: getdents64(2)
    u64 ino;
    s64 off;
    u16 reclen;
    u8 type;
    char name[];
};
static_assert(offsetof(struct dirent_k, name) == 19, "as the ABI has it");

struct dents {
    char *buf;
    size_t used, size;
    bool full; // an entry did not fit
};

static bool emit(void *ctx, const char *name, size_t len, u64 ino, u8 type, u64 next)
{
    struct dents *d = ctx;
    size_t reclen = ALIGN_UP(offsetof(struct dirent_k, name) + len + 1, 8);

    if (d->size - d->used < reclen) {
        d->full = true;
        return false;
    }
    struct dirent_k *e = (void *)(d->buf + d->used);
    memset((char *)e + reclen - 8, 0, 8);
    e->ino = ino;
    e->off = next;
    e->reclen = reclen;
    e->type = type;
    memcpy(e->name, name, len);
    d->used += reclen;
    return true;
}

static long list(struct file *f, void __user *dirp, size_t count)
{
    struct dents d = {.size = min(count, (size_t)DENTS_MAX)};
    u64 before = f->pos;

    if (!f->ops || !f->ops->iterate)
        return -ENOTDIR;
    if (f->path.dentry && f->path.dentry->deleted)
        return -ENOENT;
    d.buf = kmalloc(d.size ? d.size : 1);
    if (!d.buf)
        return -ENOMEM;
    long err = f->ops->iterate(f, &f->pos, emit, &d);
    if (!err && !d.used && d.full)
        err = -EINVAL;
    if (!err && copy_to_user(dirp, d.buf, d.used)) {
        f->pos = before;
        err = -EFAULT;
    }
    kfree(d.buf);
    return err ? err : (long)d.used;
}

long sys_getdents64(int fd, void *dirp, size_t count)
{
    struct file *f = fd_get(fd);

    if (!f)
        return -EBADF;
    long n = list(f, dirp, count);
    file_put(f);
    return n;
}

static long read_link(const struct path *p, char __user *buf, size_t size)
{
    struct inode *i = p->dentry->inode;

    if (!S_ISLNK(i->mode) || !i->ops || !i->ops->readlink)
        return -EINVAL;
    char *text = kmalloc(PATH_MAX_K);
    if (!text)
        return -ENOMEM;
    long n = i->ops->readlink(i, text, PATH_MAX_K);
    if (n > 0) {
        n = min((size_t)n, size);
        if (copy_to_user(buf, text, n))
            n = -EFAULT;
    }
    kfree(text);
    return n;
}

long sys_readlinkat(int dirfd, const char *path, char *buf, size_t size)
{
    struct path p;

    if ((int)size <= 0)
        return -EINVAL;
    long n = user_path_at(dirfd, path, LOOKUP_EMPTY, &p);
    if (n)
        return n;
    n = read_link(&p, buf, size);
    path_put(&p);
    return n;
}

long sys_readlink(const char *path, char *buf, size_t size)
{
    struct path p;

    if ((int)size <= 0)
        return -EINVAL;
    long n = user_path_at(AT_FDCWD, path, 0, &p);
    if (n)
        return n;
    n = read_link(&p, buf, size);
    path_put(&p);
    return n;
}
