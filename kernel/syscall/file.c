// Reading, writing, positions and sizes of open files: read(2), readv(2), lseek(2), sendfile(2), …
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/uio.h>
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/fs/namei.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/name.h"
#include "kernel/syscall/syscall.h"
#include "kernel/syscall/vector.h"
#include "kernel/task/sched.h"
#include "kernel/task/signal.h"

#define SEEK_MAX_K 4 // SEEK_HOLE
#define SENDFILE_CHUNK 16384

typedef long (*transfer_fn)(struct file *f, struct uio *u, u64 *pos);

static long transfer_one(int fd, void *buf, size_t count, transfer_fn fn)
{
    struct file *f = fd_get(fd);
    struct iovec_k one;
    struct uio u;

    if (!f)
        return -EBADF;
    uio_user(&u, &one, buf, min(count, RW_MAX));
    long n = fn(f, &u, &f->pos);
    file_put(f);
    return n;
}

long sys_read(int fd, void *buf, size_t count)
{
    return transfer_one(fd, buf, count, file_read);
}

long sys_write(int fd, const void *buf, size_t count)
{
    return transfer_one(fd, (void *)buf, count, file_write);
}

static long transfer_at(int fd, void *buf, size_t count, s64 offset, transfer_fn fn)
{
    struct file *f = offset < 0 ? NULL : fd_get(fd);
    u64 pos = offset;
    struct iovec_k one;
    struct uio u;

    if (!f)
        return offset < 0 ? -EINVAL : -EBADF;
    uio_user(&u, &one, buf, min(count, RW_MAX));
    long n = f->kind & FILE_STREAM ? -ESPIPE : fn(f, &u, &pos);
    file_put(f);
    return n;
}

long sys_pread64(int fd, void *buf, size_t count, s64 offset)
{
    return transfer_at(fd, buf, count, offset, file_read);
}

long sys_pwrite64(int fd, const void *buf, size_t count, s64 offset)
{
    return transfer_at(fd, (void *)buf, count, offset, file_write);
}

static long transfer_vector(int fd, const void *iov, int count, const u64 *offset, transfer_fn fn)
{
    struct iovec_k few[8], *v;
    struct file *f = fd_get(fd);
    u64 pos = offset ? *offset : 0;
    struct uio u = {};

    if (!f)
        return -EBADF;
    long n = offset && (s64)pos < 0 ? -EINVAL : offset && (f->kind & FILE_STREAM) ? -ESPIPE : 0;
    if (!n) {
        n = vector_get(&u, iov, count, few, ARRAY_SIZE(few));
        v = u.iov;
        if (!n)
            n = fn(f, &u, offset ? &pos : &f->pos);
        if (v && v != few)
            kfree(v);
    }
    file_put(f);
    return n;
}

long sys_readv(int fd, const void *iov, int iovcnt)
{
    return transfer_vector(fd, iov, iovcnt, NULL, file_read);
}

long sys_writev(int fd, const void *iov, int iovcnt)
{
    return transfer_vector(fd, iov, iovcnt, NULL, file_write);
}

long sys_preadv(int fd, const void *iov, int iovcnt, u64 pos_l, u64 pos_h)
{
    return transfer_vector(fd, iov, iovcnt, &pos_l, file_read);
}

long sys_pwritev(int fd, const void *iov, int iovcnt, u64 pos_l, u64 pos_h)
{
    return transfer_vector(fd, iov, iovcnt, &pos_l, file_write);
}

static void refresh(struct inode *i)
{
    if (i->ops && i->ops->refresh)
        i->ops->refresh(i);
}

// SEEK_DATA, SEEK_HOLE. Without help a file counts as one run of data with a hole at its end.
static s64 seek_data(struct inode *i, s64 offset, bool data)
{
    if (offset < 0 || offset >= (s64)i->size)
        return -ENXIO;
    if (i->ops && i->ops->seek_data)
        return i->ops->seek_data(i, offset, data);
    return data ? offset : (s64)i->size;
}

static long seek_by_size(struct file *f, s64 offset, int whence)
{
    s64 size;

    if (!f->inode)
        return -ESPIPE;
    refresh(f->inode);
    size = f->inode->size;
    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        offset += f->pos;
        break;
    case SEEK_END:
        offset += size;
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        offset = seek_data(f->inode, offset, whence == SEEK_DATA);
        if (offset < 0)
            return offset;
        break;
    default:
        return -EINVAL;
    }
    if (offset < 0)
        return -EINVAL;
    f->pos = offset;
    return offset;
}

long sys_lseek(int fd, s64 offset, int whence)
{
    struct file *f = fd_get(fd);

    if (!f)
        return -EBADF;
    long pos = (u32)whence > SEEK_MAX_K  ? -EINVAL
               : f->kind & FILE_STREAM   ? -ESPIPE
               : f->ops && f->ops->lseek ? f->ops->lseek(f, offset, whence)
                                         : seek_by_size(f, offset, whence);
    file_put(f);
    return pos;
}

// Copies through `buf` until the source ends, the target takes no more, or `count` is done.
static long copy_files(struct file *out, struct file *in, u64 *pos, size_t count, char *buf)
{
    size_t done = 0;
    long n = 0;

    while (done < count && !signal_pending_current()) {
        struct iovec_k one;
        struct uio u;
        u64 from = *pos;
        uio_kernel(&u, &one, buf, min(count - done, (size_t)SENDFILE_CHUNK));
        n = file_read(in, &u, &from);
        if (n <= 0)
            break;
        uio_kernel(&u, &one, buf, n);
        long written = file_write(out, &u, &out->pos);
        if (written < 0) {
            n = written;
            break;
        }
        *pos += written;
        done += written;
        if (written < n)
            break;
        cond_resched();
    }
    return done ? (long)done : n;
}

static long send_file(struct file *out, struct file *in, s64 __user *offset, size_t count)
{
    s64 pos = in->pos;

    if (in->kind & FILE_STREAM)
        return -EINVAL;
    if (!(out->kind & FILE_WRITE) || !(in->kind & FILE_READ))
        return -EBADF;
    if (out->flags & O_APPEND)
        return -EINVAL;
    if (offset && get_user(pos, offset))
        return -EFAULT;
    if (pos < 0)
        return -EINVAL;
    char *buf = kmalloc(SENDFILE_CHUNK);
    if (!buf)
        return -ENOMEM;
    long n = copy_files(out, in, (u64 *)&pos, min(count, RW_MAX), buf);
    kfree(buf);
    if (!offset)
        in->pos = pos;
    else if (put_user(pos, offset))
        return -EFAULT;
    return n;
}

long sys_sendfile(int out_fd, int in_fd, s64 *offset, size_t count)
{
    struct file *out = fd_get(out_fd), *in = fd_get(in_fd);
    long n = out && in ? send_file(out, in, offset, count) : -EBADF;

    if (out)
        file_put(out);
    if (in)
        file_put(in);
    return n;
}

// Nothing is anywhere but in memory.
long sys_fsync(int fd)
{
    struct file *f = fd_get(fd);

    if (!f)
        return -EBADF;
    long err = f->kind & FILE_STREAM ? -EINVAL : 0;
    file_put(f);
    return err;
}

long sys_fdatasync(int fd)
{
    return sys_fsync(fd);
}

long sys_sync(void)
{
    return 0;
}

long sys_fadvise64(int fd, s64 offset, s64 len, int advice)
{
    struct file *f = fd_get(fd);

    if (!f)
        return -EBADF;
    long err = f->kind & FILE_STREAM ? -ESPIPE : advice < 0 || advice > 5 ? -EINVAL : 0;
    file_put(f);
    return err;
}

static long truncate_path(const struct path *p, s64 length)
{
    struct inode *i = p->dentry->inode;

    if (S_ISDIR(i->mode))
        return -EISDIR;
    if (!S_ISREG(i->mode))
        return -EINVAL;
    long err = inode_permission(i, MAY_WRITE);
    if (!err)
        err = mount_want_write(p->mount);
    if (!err && i->exec_count)
        err = -ETXTBSY;
    if (!err)
        err = vfs_prepare_write(p->dentry);
    return err ? err : file_truncate(i, length);
}

long sys_truncate(const char *path, s64 length)
{
    struct path p;

    if (length < 0)
        return -EINVAL;
    long err = user_path_at(AT_FDCWD, path, LOOKUP_FOLLOW, &p);
    if (err)
        return err;
    err = truncate_path(&p, length);
    path_put(&p);
    return err;
}

long sys_ftruncate(int fd, s64 length)
{
    struct file *f = length < 0 ? NULL : fd_get(fd);

    if (!f)
        return length < 0 ? -EINVAL : -EBADF;
    bool good = (f->kind & FILE_WRITE) && f->inode && S_ISREG(f->inode->mode);
    long err = good ? file_truncate(f->inode, length) : -EINVAL;
    file_put(f);
    return err;
}

static long allocate(struct file *f, int mode, s64 offset, s64 len)
{
    struct inode *i = f->inode;

    if (offset < 0 || len <= 0)
        return -EINVAL;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) || mode == FALLOC_FL_PUNCH_HOLE)
        return -EOPNOTSUPP;
    if (!(f->kind & FILE_WRITE))
        return -EBADF;
    if (!i || !S_ISREG(i->mode))
        return f->kind & FILE_STREAM ? -ESPIPE : -ENODEV;
    if (!i->ops || !i->ops->allocate)
        return -EOPNOTSUPP;
    inode_drop_privilege(i);
    return i->ops->allocate(i, mode, offset, len);
}

long sys_fallocate(int fd, int mode, s64 offset, s64 len)
{
    struct file *f = fd_get(fd);

    if (!f)
        return -EBADF;
    long err = allocate(f, mode, offset, len);
    file_put(f);
    return err;
}
