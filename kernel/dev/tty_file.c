// Reading and writing a terminal, its settings, and how it is opened.

#include <linux/fcntl.h>
#include <linux/poll.h>

#include "kernel/dev/tty.h"
#include "kernel/fs/poll.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/pid.h"
#include "kernel/task/signal.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"

#define CHUNK 256
#define DECISECOND (NSEC_PER_SEC / 10)

void tty_setup(struct tty *tty, const struct tty_driver *driver, u64 rdev)
{
    static const u8 control[NCCS] = {
        [VINTR] = 3,     [VQUIT] = 28,   [VERASE] = 127, [VKILL] = 21, [VEOF] = 4,
        [VMIN] = 1,      [VSTART] = 17,  [VSTOP] = 19,   [VSUSP] = 26, [VREPRINT] = 18,
        [VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22,
    };

    memset(tty, 0, sizeof(*tty));
    tty->driver = driver;
    tty->rdev = rdev;
    tty->termios.c_iflag = ICRNL | IXON;
    tty->termios.c_oflag = OPOST | ONLCR;
    tty->termios.c_cflag = B38400 | CS8 | CREAD | HUPCL | CLOCAL;
    tty->termios.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
    memcpy(tty->termios.c_cc, control, sizeof(control));
    wait_queue_init(&tty->read_wait);
    wait_queue_init(&tty->write_wait);
}

// Takes characters up to the end of a line (canonical) or all there are; *end: a line ended. Bytes
// put into buf.
static size_t take(struct tty *tty, char *buf, size_t n, bool *end)
{
    bool canonical = tty->termios.c_lflag & ICANON;
    size_t done = 0;

    *end = false;
    while (done < n && tty->tail < tty->canonical && !*end) {
        u16 entry = tty->input[tty->tail++ % TTY_BUFFER];
        if (!(entry & TTY_EOF) || !canonical)
            buf[done++] = entry;
        *end = canonical && (entry & (TTY_DELIMITER | TTY_EOF));
    }
    return done;
}

// VMIN and VTIME (termios(3), noncanonical mode): until when to wait for more, having `done` bytes.
// 0: not at all.
static u64 raw_deadline(const struct tty *tty, size_t done, u64 started)
{
    u8 vmin = tty->termios.c_cc[VMIN], vtime = tty->termios.c_cc[VTIME];

    if (vmin == 0)
        return vtime ? started + vtime * DECISECOND : 0;
    if (vtime && done)
        return clock_ns() + vtime * DECISECOND;
    return WAIT_FOREVER;
}

static bool enough(const struct tty *tty, size_t done, bool end)
{
    if (tty->termios.c_lflag & ICANON)
        return end;
    return done && done >= tty->termios.c_cc[VMIN];
}

static int wait_for_input(struct tty *tty, struct file *f, size_t done, u64 started)
{
    bool canonical = tty->termios.c_lflag & ICANON;
    u64 deadline = canonical ? WAIT_FOREVER : raw_deadline(tty, done, started);

    if (tty->hung_up)
        return -EIO;
    if (f->flags & O_NONBLOCK)
        return -EAGAIN;
    if (deadline == 0)
        return -ETIMEDOUT;
    return wait_sleep(&tty->read_wait, deadline);
}

static long tty_read(struct file *f, struct uio *u, u64 *pos)
{
    struct tty *tty = f->private;
    size_t done = 0;
    u64 started = clock_ns();
    char buf[CHUNK];
    bool end = false;

    int err = tty_check_background(tty, SIGTTIN);
    if (err)
        return err;
    while (u->resid && !enough(tty, done, end)) {
        size_t n = take(tty, buf, min(u->resid, (u64)CHUNK), &end);
        if (n) {
            long moved = uio_write(u, buf, n);
            if (moved < 0)
                return done ? (long)done : moved;
            done += moved;
        } else if (!end) {
            err = wait_for_input(tty, f, done, started);
            if (err)
                break;
        }
    }
    if (done || end || err == -ETIMEDOUT || (err == -EIO && tty->hung_up))
        return done;
    return err;
}

static long write_chunk(struct tty *tty, struct file *f, const char *text, size_t n)
{
    size_t done = 0;
    int err = 0;

    while (done < n && !err) {
        if (tty->hung_up) {
            err = -EIO;
            break;
        }
        done += tty_output(tty, text + done, n - done);
        if (done < n)
            err = f->flags & O_NONBLOCK ? -EAGAIN : wait_sleep(&tty->write_wait, WAIT_FOREVER);
    }
    return done ? (long)done : err;
}

static long tty_write(struct file *f, struct uio *u, u64 *pos)
{
    struct tty *tty = f->private;
    char buf[CHUNK];
    long done = 0;

    if (tty->termios.c_lflag & TOSTOP) {
        int err = tty_check_background(tty, SIGTTOU);
        if (err)
            return err;
    }
    while (u->resid) {
        long n = uio_read(u, buf, min(u->resid, (u64)CHUNK));
        if (n < 0)
            return done ? done : n;
        long sent = write_chunk(tty, f, buf, n);
        if (sent < 0)
            return done ? done : sent;
        done += sent;
        if (sent < n)
            break;
    }
    return done;
}

static u32 tty_poll(struct file *f, struct poll_table *pt)
{
    struct tty *tty = f->private;
    u32 events = 0;

    poll_wait(pt, &tty->read_wait);
    poll_wait(pt, &tty->write_wait);
    if (tty_readable(tty) || tty->hung_up)
        events |= POLLIN | POLLRDNORM;
    if (!tty->stopped)
        events |= POLLOUT | POLLWRNORM;
    return tty->hung_up ? events | POLLHUP : events;
}

// Leaving canonical mode makes what was typed readable; entering it makes it one line.
static void set_termios(struct tty *tty, const struct termios *t)
{
    bool was = tty->termios.c_lflag & ICANON, is = t->c_lflag & ICANON;

    tty->termios = *t;
    if (was != is)
        tty->canonical = tty->head;
    if (is && !was && tty->head > tty->tail)
        tty->input[(tty->head - 1) % TTY_BUFFER] |= TTY_DELIMITER;
    if (!(t->c_iflag & IXON))
        tty->stopped = false;
    wake_all(&tty->read_wait);
    wake_all(&tty->write_wait);
}

static long ioctl_set_termios(struct tty *tty, u64 arg, bool flush)
{
    struct termios t;
    int err = tty_check_background(tty, SIGTTOU);

    if (err)
        return err;
    if (copy_from_user(&t, (void __user *)arg, sizeof(t)))
        return -EFAULT;
    if (flush)
        tty_flush_input(tty);
    set_termios(tty, &t);
    return 0;
}

static long ioctl_set_winsize(struct tty *tty, u64 arg)
{
    struct winsize w;

    if (copy_from_user(&w, (void __user *)arg, sizeof(w)))
        return -EFAULT;
    bool changed = memcmp(&w, &tty->winsize, sizeof(w));
    tty->winsize = w;
    if (changed && tty->session && tty->session->foreground)
        signal_send_group(tty->session->foreground, SIGWINCH, NULL);
    return 0;
}

static long ioctl_flush(struct tty *tty, u64 queue)
{
    if (queue > TCIOFLUSH)
        return -EINVAL;
    if (queue != TCOFLUSH)
        tty_flush_input(tty);
    return 0;
}

static long tty_ioctl(struct file *f, u32 cmd, u64 arg)
{
    struct tty *tty = f->private;

    switch (cmd) {
    case TCGETS:
        return copy_to_user((void __user *)arg, &tty->termios, sizeof(tty->termios));
    case TCSETS:
    case TCSETSW:
        return ioctl_set_termios(tty, arg, false);
    case TCSETSF:
        return ioctl_set_termios(tty, arg, true);
    case TIOCGWINSZ:
        return copy_to_user((void __user *)arg, &tty->winsize, sizeof(tty->winsize));
    case TIOCSWINSZ:
        return ioctl_set_winsize(tty, arg);
    case TCFLSH:
        return ioctl_flush(tty, arg);
    case TCSBRK: // drivers send at once: nothing is waiting
    case TCSBRKP:
    case TCXONC:
        return 0;
    case FIONREAD:
        return put_user((int)tty_readable(tty), (int __user *)arg);
    default:
        return tty_job_ioctl(tty, cmd, arg);
    }
}

int tty_open(struct tty *tty, struct file *f)
{
    if (tty->hung_up && !tty->opens)
        tty->hung_up = false;
    tty->opens++;
    f->private = tty;
    f->ops = &tty_fops;
    f->kind |= FILE_STREAM;
    if (!(f->flags & O_NOCTTY) && current()->process && current()->process->pgrp)
        tty_make_controlling(tty);
    return 0;
}

static void tty_release(struct file *f)
{
    struct tty *tty = f->private;

    if (--tty->opens == 0 && tty->driver->release)
        tty->driver->release(tty);
}

const struct file_ops tty_fops = {
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_ioctl,
    .release = tty_release,
};
