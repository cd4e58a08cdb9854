// signalfd(2). It holds a mask only: the signals are those that wait for who reads or polls.
#include "kernel/fs/signalfd.h"
#include <linux/signalfd.h>
#include "kernel/fs/poll.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/task/task.h"

struct signalfd {
    u64 mask;
};
static_assert(sizeof(struct signalfd_siginfo) == 128, "the ABI's");

static struct signalfd_siginfo describe(const siginfo_t *info)
{
    struct signalfd_siginfo s = {
        .ssi_signo = info->si_signo, .ssi_errno = info->si_errno, .ssi_code = info->si_code};

    if (info->si_signo == SIGCHLD && info->si_code > 0) {
        s.ssi_pid = info->si_pid;
        s.ssi_uid = info->si_uid;
        s.ssi_status = info->si_status;
        s.ssi_utime = info->si_utime;
        s.ssi_stime = info->si_stime;
    } else if (info->si_code <= 0) { // kill(2), tgkill(2), sigqueue(3)
        s.ssi_pid = info->si_pid;
        s.ssi_uid = info->si_uid;
    }
    if (info->si_code == SI_QUEUE) {
        s.ssi_int = info->si_int;
        s.ssi_ptr = (u64)info->si_ptr;
    }
    return s;
}

static long signalfd_read(struct file *f, struct uio *u, u64 *pos)
{
    struct signalfd *s = f->private;
    siginfo_t info;
    long done = 0;

    if (u->resid < sizeof(struct signalfd_siginfo))
        return -EINVAL;
    while (u->resid >= sizeof(struct signalfd_siginfo)) {
        if (!signal_dequeue(s->mask, &info)) {
            long err = done                    ? done
                       : f->flags & O_NONBLOCK ? -EAGAIN
                                               : wait_sleep(&signal_kept, WAIT_FOREVER);
            if (err)
                return err;
            continue;
        }
        signal_recalc(current());
        struct signalfd_siginfo out = describe(&info);
        long n = uio_write(u, &out, sizeof(out));
        if (n != sizeof(out))
            return done ? done : -EFAULT;
        done += n;
    }
    return done;
}

static u32 signalfd_poll(struct file *f, struct poll_table *pt)
{
    struct signalfd *s = f->private;
    const struct task *t = current();

    poll_wait(pt, &signal_kept);
    return (t->pending.set | t->process->pending.set) & s->mask ? POLLIN | POLLRDNORM : 0;
}

static void signalfd_release(struct file *f)
{
    kfree(f->private);
}

static const struct file_ops signalfd_ops = {
    .read = signalfd_read,
    .poll = signalfd_poll,
    .release = signalfd_release,
};

static u64 allowed(u64 mask)
{
    return mask & ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP));
}

int signalfd_new(u64 mask, u32 flags)
{
    if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK))
        return -EINVAL;
    struct signalfd *s = kzalloc_charged(sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->mask = allowed(mask);
    int fd = anon_file_install("[signalfd]", &signalfd_ops, s, O_RDWR | flags);
    if (fd < 0)
        kfree(s);
    return fd;
}

int signalfd_set(struct file *f, u64 mask)
{
    struct signalfd *s = f->private;

    if (f->ops != &signalfd_ops)
        return -EINVAL;
    s->mask = allowed(mask);
    wake_all(&signal_kept);
    return 0;
}
