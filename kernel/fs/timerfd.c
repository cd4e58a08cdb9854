// timerfd_create(2). The interval of a timer never makes it interrupt more than once between two
// reads: those that have passed are counted when somebody asks.
#include "kernel/fs/timerfd.h"
#include <linux/time.h>
#include <linux/timerfd.h>
#include "kernel/fs/poll.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/task/timer.h"
#include "kernel/x86/clock.h"

struct timerfd {
    struct ktimer timer;
    int clock;
    bool set;        // it runs, or has ended and begins anew when somebody asks
    u64 deadline_ns; // of clock_ns()
    u64 interval_ns; // 0: once
    u64 ticks;       // not read yet
    struct wait_queue wait;
};

static void expired(struct ktimer *k)
{
    struct timerfd *t = container_of(k, struct timerfd, timer);

    t->ticks++;
    t->set = t->interval_ns;
    wake_all(&t->wait);
}

// Counts the intervals that have passed and goes on with the one that runs now.
static void catch_up(struct timerfd *t)
{
    u64 now = clock_ns();

    if (!t->set || t->timer.armed)
        return;
    u64 passed = now > t->deadline_ns ? (now - t->deadline_ns) / t->interval_ns : 0;
    t->ticks += passed;
    t->deadline_ns += (passed + 1) * t->interval_ns;
    ktimer_set(&t->timer, t->deadline_ns, expired);
}

static long timerfd_read(struct file *f, struct uio *u, u64 *pos)
{
    struct timerfd *t = f->private;

    if (u->resid < sizeof(t->ticks))
        return -EINVAL;
    while (!t->ticks) {
        int err = f->flags & O_NONBLOCK ? -EAGAIN : wait_sleep(&t->wait, WAIT_FOREVER);
        if (err)
            return err;
    }
    catch_up(t);
    u64 ticks = t->ticks;
    t->ticks = 0;
    return uio_write(u, &ticks, sizeof(ticks));
}

static u32 timerfd_poll(struct file *f, struct poll_table *pt)
{
    struct timerfd *t = f->private;

    poll_wait(pt, &t->wait);
    return t->ticks ? POLLIN | POLLRDNORM : 0;
}

static void timerfd_release(struct file *f)
{
    struct timerfd *t = f->private;

    ktimer_cancel(&t->timer);
    kfree(t);
}

static const struct file_ops timerfd_ops = {
    .read = timerfd_read,
    .poll = timerfd_poll,
    .release = timerfd_release,
};

int timerfd_new(int clock, u32 flags)
{
    if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) ||
        (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME))
        return -EINVAL;
    struct timerfd *t = kzalloc_charged(sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->clock = clock;
    wait_queue_init(&t->wait);
    int fd = anon_file_install("[timerfd]", &timerfd_ops, t, O_RDWR | flags);
    if (fd < 0)
        kfree(t);
    return fd;
}

bool is_timerfd(const struct file *f)
{
    return f->ops == &timerfd_ops;
}

void timerfd_get(struct file *f, u64 *left_ns, u64 *interval_ns)
{
    struct timerfd *t = f->private;
    u64 now = clock_ns();

    catch_up(t);
    *interval_ns = t->interval_ns;
    *left_ns = !t->set ? 0 : t->deadline_ns > now ? t->deadline_ns - now : 1;
}

void timerfd_set(struct file *f, u64 value_ns, u64 interval_ns, bool absolute)
{
    struct timerfd *t = f->private;
    u64 offset = t->clock == CLOCK_REALTIME ? clock_realtime_offset() : 0;

    ktimer_cancel(&t->timer);
    t->ticks = 0;
    t->interval_ns = interval_ns;
    t->set = value_ns;
    if (!value_ns)
        return;
    t->deadline_ns = absolute ? value_ns - min(value_ns, offset) : clock_ns() + value_ns;
    ktimer_set(&t->timer, t->deadline_ns, expired);
}
