// Open file descriptions: life, read and write. open.c makes them from paths.
#include "kernel/fs/vfs.h"
#include "kernel/fs/dentry.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/fs/poll.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"

#define FILE_MAX 65536 // open file descriptions in the system: ENFILE

u32 file_count;

struct file *file_alloc(const struct file_ops *ops, u32 flags)
{
    static const u32 kinds[4] = {FILE_READ, FILE_WRITE, FILE_READ | FILE_WRITE, 0};

    if (file_count >= FILE_MAX)
        return ERR_PTR(-ENFILE);
    struct file *f = kzalloc_charged(sizeof(*f));
    if (!f)
        return ERR_PTR(-ENOMEM);
    f->refs = 1;
    f->ops = ops;
    f->flags = flags;
    f->kind = kinds[flags & O_ACCMODE];
    list_init(&f->epoll_links);
    file_count++;
    return f;
}

void file_put(struct file *f)
{
    if (--f->refs)
        return;
    if (!list_empty(&f->epoll_links))
        epoll_file_released(f);
    if (f->ops && f->ops->release && !(f->kind & FILE_PATH)) // O_PATH: never opened
        f->ops->release(f);
    if (f->inode) {
        if ((f->kind & FILE_WRITE) && S_ISREG(f->inode->mode)) {
            f->inode->write_count--;
            f->path.mount->writers--;
        }
        if (f->kind & FILE_EXEC)
            f->inode->exec_count--;
        if (f->inode->locks)
            flock_released(f);
        inode_put(f->inode);
    }
    path_put(&f->path);
    kfree(f);
    file_count--;
}

long file_read(struct file *f, struct uio *u, u64 *pos)
{
    if (!(f->kind & FILE_READ))
        return -EBADF;
    if (!f->ops->read)
        return f->inode && S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
    return f->ops->read(f, u, pos);
}

long file_write(struct file *f, struct uio *u, u64 *pos)
{
    if (!(f->kind & FILE_WRITE))
        return -EBADF;
    if (!f->ops->write)
        return -EINVAL;
    if (f->inode && (f->inode->mode & (S_ISUID | S_ISGID)) && u->resid)
        inode_drop_privilege(f->inode);
    if ((f->flags & O_APPEND) && f->inode && S_ISREG(f->inode->mode)) {
        if (f->inode->ops && f->inode->ops->refresh)
            f->inode->ops->refresh(f->inode);
        *pos = f->inode->size;
    }
    return f->ops->write(f, u, pos);
}

long kernel_read(struct file *f, void *buf, size_t n, u64 off)
{
    struct iovec_k one;
    struct uio u;

    uio_kernel(&u, &one, buf, n);
    return file_read(f, &u, &off);
}

long kernel_write(struct file *f, const void *buf, size_t n, u64 off)
{
    struct iovec_k one;
    struct uio u;

    uio_kernel(&u, &one, (void *)buf, n);
    return file_write(f, &u, &off);
}

u32 file_poll(struct file *f, struct poll_table *pt)
{
    if (!f->ops || !f->ops->poll)
        return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    return f->ops->poll(f, pt);
}

int file_truncate(struct inode *i, u64 size)
{
    if (S_ISDIR(i->mode))
        return -EISDIR;
    if (!i->ops || !i->ops->truncate)
        return -EINVAL;
    inode_drop_privilege(i);
    return i->ops->truncate(i, size);
}

int anon_file_install(const char *name, const struct file_ops *ops, void *private, u32 flags)
{
    struct file *f = file_alloc(ops, flags);

    if (IS_ERR(f))
        return PTR_ERR(f);
    f->name = name;
    f->private = private;
    f->kind |= ops->lseek ? 0 : FILE_STREAM;
    f->ops = NULL;
    int fd = fd_install(file_get(f), flags & O_CLOEXEC);
    if (fd >= 0)
        f->ops = ops;
    file_put(f);
    return fd;
}
