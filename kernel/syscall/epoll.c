// epoll(7), eventfd(2), signalfd(2), memfd_create(2).
#include <linux/memfd.h>
#include "kernel/fs/epoll.h"
#include "kernel/fs/eventfd.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/memfd.h"
#include "kernel/fs/signalfd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/deadline.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/signal.h"

#define EVENTS_MAX 4096 // returned by one call

long sys_epoll_create1(int flags)
{
    return flags & ~EPOLL_CLOEXEC ? -EINVAL : epoll_new(flags);
}

long sys_epoll_create(int size)
{
    return size <= 0 ? -EINVAL : epoll_new(0);
}

long sys_epoll_ctl(int epfd, int op, int fd, void *event)
{
    struct epoll_event ev = {};

    if (op != EPOLL_CTL_DEL && copy_from_user(&ev, event, sizeof(ev)))
        return -EFAULT;
    struct file *ep = fd_get(epfd), *target = fd_get(fd);
    long err = !ep || !target                  ? -EBADF
               : !is_epoll(ep) || ep == target ? -EINVAL
                                               : epoll_control(ep, op, target, fd, &ev);
    if (ep)
        file_put(ep);
    if (target)
        file_put(target);
    return err;
}

static long wait_in(struct file *ep, struct epoll_event __user *events, int max, u64 deadline)
{
    struct epoll_event few[8], *buf = few;

    if (!is_epoll(ep) || max <= 0)
        return -EINVAL;
    max = min(max, EVENTS_MAX);
    if (max > (int)ARRAY_SIZE(few) && !(buf = kmalloc(max * sizeof(*buf))))
        return -ENOMEM;
    long n = epoll_collect(ep, buf, max, deadline);
    if (n > 0 && copy_to_user(events, buf, n * sizeof(*buf)))
        n = -EFAULT;
    if (buf != few)
        kfree(buf);
    return n;
}

long sys_epoll_wait(int epfd, void *events, int maxevents, int timeout)
{
    struct file *ep = fd_get(epfd);

    if (!ep)
        return -EBADF;
    long n = wait_in(ep, events, maxevents, deadline_ms(timeout));
    file_put(ep);
    return n;
}

long sys_epoll_pwait(int epfd, void *events, int maxevents, int timeout, const u64 *sigmask,
                     size_t sigsetsize)
{
    u64 mask;

    if (sigmask) {
        if (sigsetsize != sizeof(mask))
            return -EINVAL;
        if (get_user(mask, sigmask))
            return -EFAULT;
        signal_set_temporary_mask(mask);
    }
    return sys_epoll_wait(epfd, events, maxevents, timeout);
}

long sys_eventfd2(u32 initval, int flags)
{
    return eventfd_new(initval, flags);
}

long sys_eventfd(u32 initval)
{
    return eventfd_new(initval, 0);
}

long sys_signalfd4(int fd, const u64 *mask, size_t sigsetsize, int flags)
{
    u64 set;

    if (sigsetsize != sizeof(set))
        return -EINVAL;
    if (get_user(set, mask))
        return -EFAULT;
    if (fd == -1)
        return signalfd_new(set, flags);
    struct file *f = fd_get(fd);
    if (!f)
        return -EBADF;
    long err = signalfd_set(f, set);
    file_put(f);
    return err ? err : fd;
}

long sys_signalfd(int fd, const u64 *mask, size_t sigsetsize)
{
    return sys_signalfd4(fd, mask, sigsetsize, 0);
}

long sys_memfd_create(const char *name, u32 flags)
{
    char text[NAME_MAX_K - 5];
    long n = strncpy_from_user(text, name, sizeof(text));

    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : n;
    if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | 8u | 16u)) // MFD_NOEXEC_SEAL, MFD_EXEC
        return -EINVAL;
    struct file *f = memfd_new(text);
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(f, flags & MFD_CLOEXEC ? O_CLOEXEC : 0);
}
