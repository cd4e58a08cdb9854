// Pseudoterminals: pty(7). A pair is a terminal (/dev/pts/N) whose device is a file, the master,
// that opening /dev/ptmx gave.

#include <linux/poll.h>

#include "kernel/dev/tty.h"
#include "kernel/fs/chrdev.h"
#include "kernel/fs/poll.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"

#define PTY_MAX 256
#define PTY_BUFFER 4096

struct pty {
    struct tty tty;       // the slave side
    struct super *devpts; // the instance that has its name, with a reference
    unsigned number;      // there
    bool master_open, locked;
    bool slave_was_open;
    char output[PTY_BUFFER]; // written to the slave, not yet read from the master
    u64 head, tail;
    struct wait_queue master_wait;
};

static struct pty *ptys[PTY_MAX];

// True once a slave was open and all are closed: the master reads EIO then, as on Linux.
static bool slave_gone(const struct pty *p)
{
    return p->tty.opens == 0 && p->slave_was_open;
}

static size_t pty_write(struct tty *tty, const char *text, size_t n)
{
    struct pty *p = tty->private;
    size_t done = 0;

    if (!p->master_open)
        return n;
    while (done < n && p->head - p->tail < PTY_BUFFER)
        p->output[p->head++ % PTY_BUFFER] = text[done++];
    wake_all(&p->master_wait);
    return done;
}

static struct pty *find(const struct super *devpts, unsigned number)
{
    for (unsigned i = 0; i < PTY_MAX; i++)
        if (ptys[i] && ptys[i]->devpts == devpts && ptys[i]->number == number)
            return ptys[i];
    return NULL;
}

static void pty_free_if_unused(struct pty *p)
{
    if (p->master_open || p->tty.opens)
        return;
    devpts_remove(p->devpts, p->number);
    for (unsigned i = 0; i < PTY_MAX; i++)
        if (ptys[i] == p)
            ptys[i] = NULL;
    super_put(p->devpts);
    kfree(p);
}

static void pty_slave_release(struct tty *tty)
{
    struct pty *p = tty->private;

    wake_all(&p->master_wait);
    pty_free_if_unused(p);
}

static const struct tty_driver pty_driver = {.write = pty_write, .release = pty_slave_release};

static long master_read(struct file *f, struct uio *u, u64 *pos)
{
    struct pty *p = f->private;
    long done = 0;

    while (p->head == p->tail) {
        if (slave_gone(p))
            return -EIO;
        if (f->flags & O_NONBLOCK)
            return -EAGAIN;
        int err = wait_sleep(&p->master_wait, WAIT_FOREVER);
        if (err)
            return err;
    }
    while (u->resid && p->tail < p->head) {
        size_t at = p->tail % PTY_BUFFER, run = min(p->head - p->tail, (u64)PTY_BUFFER - at);
        long n = uio_write(u, p->output + at, min((u64)run, u->resid));
        if (n < 0)
            return done ? done : n;
        p->tail += n;
        done += n;
    }
    wake_all(&p->tty.write_wait);
    return done;
}

static long master_write(struct file *f, struct uio *u, u64 *pos)
{
    struct pty *p = f->private;
    char buf[256];
    long done = 0;

    while (u->resid) {
        long n = uio_read(u, buf, min(u->resid, (u64)sizeof(buf)));
        if (n < 0)
            return done ? done : n;
        tty_input(&p->tty, buf, n);
        done += n;
    }
    return done;
}

static u32 master_poll(struct file *f, struct poll_table *pt)
{
    struct pty *p = f->private;
    u32 events = POLLOUT | POLLWRNORM;

    poll_wait(pt, &p->master_wait);
    if (p->head != p->tail)
        events |= POLLIN | POLLRDNORM;
    return slave_gone(p) ? events | POLLHUP : events;
}

static long master_ioctl(struct file *f, u32 cmd, u64 arg)
{
    struct pty *p = f->private;
    int lock;

    switch (cmd) {
    case TIOCGPTN:
        return put_user(p->number, (unsigned __user *)arg);
    case TIOCSPTLCK:
        if (get_user(lock, (int __user *)arg))
            return -EFAULT;
        p->locked = lock;
        return 0;
    case TIOCGPTLCK:
        return put_user((int)p->locked, (int __user *)arg);
    default: { // the slave's settings and window size
        struct file slave = {.private = &p->tty, .flags = f->flags};
        return tty_fops.ioctl(&slave, cmd, arg);
    }
    }
}

static void master_release(struct file *f)
{
    struct pty *p = f->private;

    p->master_open = false;
    tty_hangup(&p->tty);
    pty_free_if_unused(p);
}

static const struct file_ops master_fops = {
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = master_ioctl,
    .release = master_release,
};

int ptmx_open(struct file *f)
{
    unsigned slot = 0, n = 0;

    while (slot < PTY_MAX && ptys[slot])
        slot++;
    if (slot == PTY_MAX)
        return -ENOSPC;
    struct pty *p = kzalloc_charged(sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->devpts = devpts_of(f->inode);
    while (find(p->devpts, n))
        n++;
    tty_setup(&p->tty, &pty_driver, dev_make(PTS_MAJOR, n));
    p->tty.private = p;
    p->number = n;
    p->locked = p->master_open = true;
    wait_queue_init(&p->master_wait);
    int err = devpts_node(p->devpts, n, p->tty.rdev);
    if (err) {
        super_put(p->devpts);
        kfree(p);
        return err;
    }
    ptys[slot] = p;
    f->private = p;
    f->ops = &master_fops;
    f->kind |= FILE_STREAM;
    return 0;
}

static int slave_open(struct inode *inode, struct file *f)
{
    struct pty *p = find(inode->super, dev_minor(inode->rdev));

    if (!p || p->locked || !p->master_open)
        return -EIO;
    p->slave_was_open = true;
    return tty_open(&p->tty, f);
}

static const struct file_ops slave_fops = {.open = slave_open};

void pty_init(void)
{
    chrdev_register(PTS_MAJOR, "pts", &slave_fops);
}
