// eventfd(2).
#include "kernel/fs/eventfd.h"
#include "kernel/fs/poll.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"

#define COUNT_MAX (UINT64_MAX - 1)
#define EFD_SEMAPHORE 1 // eventfd(2); not in every linux-libc-dev

struct eventfd {
    u64 count;
    bool semaphore;
    struct wait_queue wait;
};

static long eventfd_read(struct file *f, struct uio *u, u64 *pos)
{
    struct eventfd *e = f->private;

    if (u->resid < sizeof(u64))
        return -EINVAL;
    while (!e->count) {
        int err = f->flags & O_NONBLOCK ? -EAGAIN : wait_sleep(&e->wait, WAIT_FOREVER);
        if (err)
            return err;
    }
    u64 value = e->semaphore ? 1 : e->count;
    e->count -= value;
    wake_all(&e->wait);
    return uio_write(u, &value, sizeof(value));
}

static long eventfd_write(struct file *f, struct uio *u, u64 *pos)
{
    struct eventfd *e = f->private;
    u64 value;

    if (u->resid < sizeof(value))
        return -EINVAL;
    if (uio_read(u, &value, sizeof(value)) != sizeof(value))
        return -EFAULT;
    if (value > COUNT_MAX)
        return -EINVAL;
    while (COUNT_MAX - e->count < value) {
        int err = f->flags & O_NONBLOCK ? -EAGAIN : wait_sleep(&e->wait, WAIT_FOREVER);
        if (err)
            return err;
    }
    e->count += value;
    wake_all(&e->wait);
    return sizeof(value);
}

static u32 eventfd_poll(struct file *f, struct poll_table *pt)
{
    struct eventfd *e = f->private;

    poll_wait(pt, &e->wait);
    return (e->count ? POLLIN | POLLRDNORM : 0) | (e->count < COUNT_MAX ? POLLOUT | POLLWRNORM : 0);
}

static void eventfd_release(struct file *f)
{
    kfree(f->private);
}

static const struct file_ops eventfd_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .release = eventfd_release,
};

int eventfd_new(u32 count, u32 flags)
{
    if (flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK))
        return -EINVAL;
    struct eventfd *e = kzalloc_charged(sizeof(*e));
    if (!e)
        return -ENOMEM;
    e->count = count;
    e->semaphore = flags & EFD_SEMAPHORE;
    wait_queue_init(&e->wait);
    int fd = anon_file_install("[eventfd]", &eventfd_ops, e,
                               O_RDWR | (flags & (O_CLOEXEC | O_NONBLOCK)));
    if (fd < 0)
        kfree(e);
    return fd;
}

bool is_eventfd(const struct file *f)
{
    return f->ops == &eventfd_ops;
}

void eventfd_add(struct file *f, u64 n)
{
    struct eventfd *e = f->private;

    e->count += min(n, COUNT_MAX - e->count);
    wake_all(&e->wait);
}

u64 eventfd_take(struct file *f)
{
    struct eventfd *e = f->private;
    u64 count = e->count;

    e->count = 0;
    if (count)
        wake_all(&e->wait);
    return count;
}

struct wait_queue *eventfd_queue(struct file *f)
{
    struct eventfd *e = f->private;

    return &e->wait;
}
