// Pipes: a ring of pages between writers and readers.
//
// `head` and `tail` count bytes since the pipe was empty last; then both go back to 0, so that
// small messages always use the first page. Pages are charged to the cgroup of the writer that
// needs them. Writes of up to PIPE_BUF bytes are atomic: they wait until all fits.
#include "kernel/fs/pipe.h"
#include <linux/limits.h>
#include <linux/poll.h>
#include <linux/signal.h>
#include "kernel/fs/poll.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/signal.h"
#include "kernel/task/task.h"
#include "kernel/task/wait.h"

#define PAGES_MAX 256 // 1 MiB
#define PAGES_DEFAULT 16

struct pipe {
    u32 readers, writers;           // open ends
    u32 readers_ever, writers_ever; // opens so far: FIFO opens wait for a change
    u64 head, tail;                 // written and read
    u32 pages;                      // capacity
    struct page **page;
    struct wait_queue read_wait, write_wait;
    bool busy; // somebody copies, and may sleep in it
    struct wait_queue busy_wait;
};

static void lock(struct pipe *p)
{
    while (p->busy)
        wait_sleep_forever(&p->busy_wait);
    p->busy = true;
}

static void unlock(struct pipe *p)
{
    p->busy = false;
    wake_one(&p->busy_wait);
}

static struct pipe *pipe_new(void)
{
    struct pipe *p = kzalloc_charged(sizeof(*p));

    if (!p)
        return NULL;
    p->pages = PAGES_DEFAULT;
    p->page = kzalloc_charged(PAGES_DEFAULT * sizeof(*p->page));
    if (!p->page) {
        kfree(p);
        return NULL;
    }
    wait_queue_init(&p->read_wait);
    wait_queue_init(&p->write_wait);
    wait_queue_init(&p->busy_wait);
    return p;
}

static void free_pages(struct pipe *p, u32 first)
{
    for (u32 n = first; n < p->pages; n++)
        if (p->page[n]) {
            page_put(p->page[n]);
            p->page[n] = NULL;
        }
}

void pipe_free(struct pipe *p)
{
    free_pages(p, 0);
    kfree(p->page);
    kfree(p);
}

static u64 used(const struct pipe *p)
{
    return p->head - p->tail;
}

static u64 room(const struct pipe *p)
{
    return p->pages * PAGE_SIZE - used(p);
}

static struct pipe *of(struct file *f)
{
    return f->inode->pipe;
}

// Copies what is there; bytes or -EFAULT.
static long take(struct pipe *p, struct uio *u)
{
    size_t done = 0;
    long moved = 0;

    lock(p);
    while (u->resid && used(p)) {
        u32 slot = p->tail / PAGE_SIZE % p->pages;
        size_t off = p->tail % PAGE_SIZE;
        size_t n = min(PAGE_SIZE - off, used(p));
        n = min(n, u->resid);
        moved = uio_write(u, (char *)page_to_virt(p->page[slot]) + off, n);
        if (moved < 0)
            break;
        p->tail += moved;
        done += moved;
        if ((size_t)moved < n)
            break;
    }
    if (!used(p)) {
        if (p->head > PAGE_SIZE)
            free_pages(p, 1);
        p->head = p->tail = 0;
    }
    unlock(p);
    return done ? (long)done : moved;
}

static long pipe_read(struct file *f, struct uio *u, u64 *pos)
{
    struct pipe *p = of(f);

    if (!u->resid)
        return 0;
    while (!used(p)) {
        if (!p->writers)
            return 0;
        if (f->flags & O_NONBLOCK)
            return -EAGAIN;
        int err = wait_sleep(&p->read_wait, WAIT_FOREVER);
        if (err)
            return err;
    }
    long n = take(p, u);
    if (n == 0)
        return pipe_read(f, u, pos); // another reader was faster
    if (n > 0)
        wake_all(&p->write_wait);
    if (used(p))
        wake_one(&p->read_wait);
    return n;
}

// Copies as much as fits; bytes, -EFAULT or -ENOMEM.
static long put(struct pipe *p, struct uio *u)
{
    size_t done = 0;
    long moved = 0;

    lock(p);
    while (u->resid && room(p)) {
        u32 slot = p->head / PAGE_SIZE % p->pages;
        size_t off = p->head % PAGE_SIZE;
        size_t n = min(PAGE_SIZE - off, room(p));
        n = min(n, u->resid);
        if (!p->page[slot])
            p->page[slot] = frame_alloc_charged(current()->cgroup, 0);
        moved =
            !p->page[slot] ? -ENOMEM : uio_read(u, (char *)page_to_virt(p->page[slot]) + off, n);
        if (moved < 0)
            break;
        p->head += moved;
        done += moved;
        if ((size_t)moved < n)
            break;
    }
    unlock(p);
    return done ? (long)done : moved;
}

static long broken(void)
{
    signal_send_task(current(), SIGPIPE, NULL);
    return -EPIPE;
}

static long pipe_write(struct file *f, struct uio *u, u64 *pos)
{
    struct pipe *p = of(f);
    size_t done = 0;

    while (u->resid) {
        if (!p->readers)
            return done ? (long)done : broken();
        u64 needed = u->resid <= PIPE_BUF && !done ? u->resid : 1;
        if (room(p) >= needed) {
            long n = put(p, u);
            if (n > 0)
                wake_all(&p->read_wait);
            if (n <= 0)
                return done ? (long)done : n;
            done += n;
            continue;
        }
        int err = f->flags & O_NONBLOCK ? -EAGAIN : wait_sleep(&p->write_wait, WAIT_FOREVER);
        if (err)
            return done ? (long)done : err;
    }
    return done;
}

static u32 pipe_poll(struct file *f, struct poll_table *pt)
{
    struct pipe *p = of(f);
    u32 events = 0;

    if (f->kind & FILE_READ) {
        poll_wait(pt, &p->read_wait);
        if (used(p))
            events |= POLLIN | POLLRDNORM;
        if (!p->writers && p->writers_ever)
            events |= POLLHUP;
    }
    if (f->kind & FILE_WRITE) {
        poll_wait(pt, &p->write_wait);
        if (room(p) >= PIPE_BUF)
            events |= POLLOUT | POLLWRNORM;
        if (!p->readers)
            events |= POLLERR;
    }
    return events;
}

static long pipe_ioctl(struct file *f, u32 cmd, u64 arg)
{
    if (cmd != 0x541b) // FIONREAD
        return -ENOTTY;
    return put_user(used(of(f)), (int __user *)arg);
}

static void enter(struct pipe *p, struct file *f)
{
    if (f->kind & FILE_READ) {
        p->readers++;
        p->readers_ever++;
    }
    if (f->kind & FILE_WRITE) {
        p->writers++;
        p->writers_ever++;
    }
}

static void pipe_release(struct file *f)
{
    struct pipe *p = of(f);

    if (!p)
        return;
    if (f->kind & FILE_READ)
        p->readers--;
    if (f->kind & FILE_WRITE)
        p->writers--;
    wake_all(&p->read_wait);
    wake_all(&p->write_wait);
    if (!p->readers && !p->writers) {
        f->inode->pipe = NULL;
        pipe_free(p);
    }
}

// Waits for the first opener of the other end: its counter moves on from what it was.
static int wait_for_other(struct pipe *p, u32 *ever)
{
    u32 before = *ever;
    struct wait_queue *q = ever == &p->readers_ever ? &p->write_wait : &p->read_wait;

    return wait_event(q, *ever != before);
}

static int fifo_open(struct inode *inode, struct file *f)
{
    if (!inode->pipe && !(inode->pipe = pipe_new()))
        return -ENOMEM;
    struct pipe *p = inode->pipe;
    int err = 0;

    f->kind |= FILE_STREAM;
    enter(p, f);
    wake_all(&p->read_wait);
    wake_all(&p->write_wait);
    u32 ends = f->kind & (FILE_READ | FILE_WRITE);
    if (!inode->super) // pipe(2)'s, opened once more through /proc/PID/fd: never waits
        return 0;
    if (ends == FILE_READ && !p->writers && !(f->flags & O_NONBLOCK))
        err = wait_for_other(p, &p->writers_ever);
    else if (ends == FILE_WRITE && !p->readers)
        err = f->flags & O_NONBLOCK ? -ENXIO : wait_for_other(p, &p->readers_ever);
    if (err)
        pipe_release(f);
    return err;
}

const struct file_ops fifo_file_ops = {
    .open = fifo_open,
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
};

static struct file *open_end(struct inode *inode, u32 flags)
{
    struct file *f = file_alloc(&fifo_file_ops, flags);

    if (IS_ERR(f))
        return f;
    f->kind |= FILE_STREAM;
    f->inode = inode_get(inode);
    enter(inode->pipe, f);
    return f;
}

int pipe_create(struct file **reader, struct file **writer, u32 flags)
{
    struct inode *inode = inode_new(NULL, S_IFIFO | 0600);

    if (!inode)
        return -ENOMEM;
    inode->pipe = pipe_new();
    if (!inode->pipe) {
        inode_put(inode);
        return -ENOMEM;
    }
    flags &= O_NONBLOCK;
    *reader = open_end(inode, O_RDONLY | flags);
    *writer = IS_ERR(*reader) ? *reader : open_end(inode, O_WRONLY | flags);
    inode_put(inode);
    if (!IS_ERR(*writer))
        return 0;
    if (!IS_ERR(*reader))
        file_put(*reader);
    return PTR_ERR(*writer);
}

static bool is_pipe(const struct file *f)
{
    return f->ops == &fifo_file_ops;
}

long pipe_capacity(struct file *f)
{
    return is_pipe(f) ? (long)(of(f)->pages * PAGE_SIZE) : -EBADF;
}

long pipe_set_capacity(struct file *f, u64 bytes)
{
    if (!is_pipe(f))
        return -EBADF;
    struct pipe *p = of(f);
    u32 pages = PAGES_MAX;
    if (bytes > PAGES_MAX * PAGE_SIZE)
        return -EPERM;
    while (pages > 1 && pages / 2 * PAGE_SIZE >= bytes)
        pages /= 2;
    if (used(p))
        return pages * PAGE_SIZE >= used(p) && pages == p->pages ? (long)(pages * PAGE_SIZE)
                                                                 : -EBUSY;
    struct page **page = kzalloc_charged(pages * sizeof(*page));
    if (!page)
        return -ENOMEM;
    free_pages(p, 0);
    kfree(p->page);
    p->page = page;
    p->pages = pages;
    return pages * PAGE_SIZE;
}
