// Descriptors: close(2), dup(2), fcntl(2), pipe(2), ioctl(2), flock(2).
#include <asm/ioctls.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include "kernel/fs/fdtable.h"
#include "kernel/fs/pipe.h"
#include "kernel/lib/err.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/task.h"

#define SETTABLE (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | FASYNC)

long sys_close(int fd)
{
    return fd_close(fd);
}

long sys_close_range(u32 first, u32 last, u32 flags)
{
    if (first > last || flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
        return -EINVAL;
    int err = flags & CLOSE_RANGE_UNSHARE ? task_file_ops->unshare(CLONE_FILES) : 0;
    if (err)
        return err;
    for (int fd = fd_next(current(), min(first, (u32)FD_LIMIT)); fd >= 0 && (u32)fd <= last;
         fd = fd_next(current(), fd + 1)) {
        if (flags & CLOSE_RANGE_CLOEXEC)
            fd_set_cloexec(fd, true);
        else
            fd_close(fd);
    }
    return 0;
}

long sys_dup(int fd)
{
    struct file *f = fd_get_any(fd);
    return f ? fd_install(f, 0) : -EBADF;
}

long sys_dup3(int oldfd, int newfd, int flags)
{
    if (oldfd == newfd || flags & ~O_CLOEXEC)
        return -EINVAL;
    struct file *f = fd_get_any(oldfd);
    return f ? fd_replace(newfd, f, flags) : -EBADF;
}

long sys_dup2(int oldfd, int newfd)
{
    if (oldfd != newfd)
        return sys_dup3(oldfd, newfd, 0);
    return fd_cloexec(oldfd) < 0 ? -EBADF : newfd;
}

static long file_fcntl(struct file *f, int cmd, u64 arg)
{
    switch (cmd) {
    case F_GETFL:
        return f->flags;
    case F_SETFL:
        f->flags = (f->flags & ~SETTABLE) | (arg & SETTABLE);
        return 0;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
        return file_lock(f, cmd, (void __user *)arg);
    case F_SETOWN:
        f->owner_pid = arg;
        return 0;
    case F_GETOWN:
        return f->owner_pid;
    case F_GETPIPE_SZ:
        return pipe_capacity(f);
    case F_SETPIPE_SZ:
        return pipe_set_capacity(f, arg);
    }
    return -EINVAL;
}

long sys_fcntl(int fd, int cmd, u64 arg)
{
    switch (cmd) {
    case F_GETFD:
        return fd_cloexec(fd); // FD_CLOEXEC is 1
    case F_SETFD:
        return fd_set_cloexec(fd, arg & FD_CLOEXEC);
    }
    struct file *f =
        cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_GETFL ? fd_get_any(fd) : fd_get(fd);
    if (!f)
        return -EBADF;
    if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
        return (int)arg < 0 ? (file_put(f), -EINVAL)
                            : fd_install_from(f, arg, cmd == F_DUPFD ? 0 : O_CLOEXEC);
    long result = file_fcntl(f, cmd, arg);
    file_put(f);
    return result;
}

long sys_pipe2(int *fds, int flags)
{
    struct file *reader, *writer;
    int fd[2];

    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    int err = pipe_create(&reader, &writer, flags);
    if (err)
        return err;
    fd[0] = fd_install(reader, flags);
    if (fd[0] < 0) {
        file_put(writer);
        return fd[0];
    }
    fd[1] = fd_install(writer, flags);
    if (fd[1] < 0) {
        fd_close(fd[0]);
        return fd[1];
    }
    if (!copy_to_user(fds, fd, sizeof(fd)))
        return 0;
    fd_close(fd[0]);
    fd_close(fd[1]);
    return -EFAULT;
}

long sys_pipe(int *fds)
{
    return sys_pipe2(fds, 0);
}

static long set_nonblock(struct file *f, u64 arg)
{
    int on;

    if (get_user(on, (int __user *)arg))
        return -EFAULT;
    f->flags = on ? f->flags | O_NONBLOCK : f->flags & ~O_NONBLOCK;
    return 0;
}

static long unread_bytes(struct file *f, u64 arg)
{
    u64 left = f->inode->size > f->pos ? f->inode->size - f->pos : 0;
    return put_user(left, (int __user *)arg);
}

long sys_ioctl(int fd, u32 cmd, u64 arg)
{
    struct file *f = fd_get(fd);
    long result;

    if (!f)
        return -EBADF;
    if (cmd == FIOCLEX || cmd == FIONCLEX)
        result = fd_set_cloexec(fd, cmd == FIOCLEX);
    else if (cmd == FIONBIO)
        result = set_nonblock(f, arg);
    else if (cmd == FIONREAD && f->inode && S_ISREG(f->inode->mode))
        result = unread_bytes(f, arg);
    else
        result = f->ops && f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
    file_put(f);
    return result;
}

long sys_flock(int fd, int operation)
{
    struct file *f = fd_get(fd);

    if (!f)
        return -EBADF;
    long err = file_flock(f, operation);
    file_put(f);
    return err;
}
