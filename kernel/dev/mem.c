// The memory devices of null(4), full(4) and random(4), and the kernel log as /dev/kmsg.

#include <linux/poll.h>

#include "kernel/x86/random.h"
#include "kernel/dev/tty.h"
#include "kernel/fs/poll.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/vmobject.h"
#include "kernel/x86/log.h"

#define MEM_MAJOR 1
enum {
    MINOR_NULL = 3,
    MINOR_ZERO = 5,
    MINOR_FULL = 7,
    MINOR_RANDOM = 8,
    MINOR_URANDOM = 9,
    MINOR_KMSG = 11
};

static long null_read(struct file *f, struct uio *u, u64 *pos)
{
    return 0;
}

static long null_write(struct file *f, struct uio *u, u64 *pos)
{
    long n = u->resid;

    u->resid = 0;
    return n;
}

static long zero_read(struct file *f, struct uio *u, u64 *pos)
{
    return uio_write_zeros(u, u->resid);
}

static long full_write(struct file *f, struct uio *u, u64 *pos)
{
    return -ENOSPC;
}

static long random_read(struct file *f, struct uio *u, u64 *pos)
{
    u8 buf[256];
    long done = 0;

    while (u->resid) {
        size_t n = min(u->resid, (u64)sizeof(buf));
        random_bytes(buf, n);
        long moved = uio_write(u, buf, n);
        if (moved < 0)
            return done ? done : moved;
        done += moved;
    }
    return done;
}

// Reading gives the log's text from where this file's position is; it does not wait for more.
static long kmsg_read(struct file *f, struct uio *u, u64 *pos)
{
    char buf[256];
    long done = 0;

    while (u->resid) {
        size_t n = log_read(pos, buf, min(u->resid, (u64)sizeof(buf)));
        if (n == 0)
            break;
        long moved = uio_write(u, buf, n);
        if (moved < 0)
            return done ? done : moved;
        done += moved;
    }
    return done;
}

// One write is one message. A priority "<N>" in front is dropped, as is all behind the first 900
// bytes.
static long kmsg_write(struct file *f, struct uio *u, u64 *pos)
{
    char buf[901];
    long total = u->resid, n = uio_read(u, buf, min(u->resid, (u64)sizeof(buf) - 1));

    if (n < 0)
        return n;
    buf[n] = 0;
    const char *text = buf, *end = buf[0] == '<' ? strchr(buf, '>') : NULL;
    if (end)
        text = end + 1;
    size_t len = strlen(text);
    kprintf("%s%s", text, len && text[len - 1] == '\n' ? "" : "\n");
    return total;
}

static u32 always_ready(struct file *f, struct poll_table *pt)
{
    return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
}

// MAP_SHARED of /dev/zero is shared anonymous memory of this open file.
static int zero_mmap(struct file *f, u64 offset, u64 len, u32 prot, u32 flags,
                     struct vmobject **obj, u64 *page_offset)
{
    u64 pages = (offset + len) / PAGE_SIZE;
    int err = 0;

    if (!f->private) {
        struct vmobject *object = anon_object_create(pages);
        if (IS_ERR(object))
            return PTR_ERR(object);
        f->private = object;
    }
    *obj = f->private;
    *page_offset = offset / PAGE_SIZE;
    if ((*obj)->pages < pages)
        err = anon_object_resize(*obj, pages);
    return err;
}

static void zero_release(struct file *f)
{
    if (f->private)
        vmobject_put(f->private);
}

static long seek_to_start(struct file *f, s64 offset, int whence)
{
    f->pos = 0;
    return 0;
}

static const struct file_ops null_fops = {
    .read = null_read, .write = null_write, .poll = always_ready, .lseek = seek_to_start};
static const struct file_ops zero_fops = {.read = zero_read,
                                          .write = null_write,
                                          .poll = always_ready,
                                          .lseek = seek_to_start,
                                          .mmap = zero_mmap,
                                          .release = zero_release};
static const struct file_ops full_fops = {
    .read = zero_read, .write = full_write, .poll = always_ready, .lseek = seek_to_start};
static const struct file_ops random_fops = {
    .read = random_read, .write = null_write, .poll = always_ready, .lseek = seek_to_start};
static const struct file_ops kmsg_fops = {
    .read = kmsg_read, .write = kmsg_write, .poll = always_ready, .lseek = seek_to_start};

static int mem_open(struct inode *inode, struct file *f)
{
    static const struct file_ops *const by_minor[] = {
        [MINOR_NULL] = &null_fops,     [MINOR_ZERO] = &zero_fops,      [MINOR_FULL] = &full_fops,
        [MINOR_RANDOM] = &random_fops, [MINOR_URANDOM] = &random_fops, [MINOR_KMSG] = &kmsg_fops,
    };
    u32 minor = dev_minor(inode->rdev);

    if (minor >= ARRAY_SIZE(by_minor) || !by_minor[minor])
        return -ENXIO;
    f->ops = by_minor[minor];
    f->private = NULL;
    return 0;
}

static const struct file_ops mem_fops = {.open = mem_open};

void mem_init(void)
{
    static const struct {
        const char *name;
        u32 mode, minor;
    } nodes[] = {{"null", 0666, MINOR_NULL},       {"zero", 0666, MINOR_ZERO},
                 {"full", 0666, MINOR_FULL},       {"random", 0666, MINOR_RANDOM},
                 {"urandom", 0666, MINOR_URANDOM}, {"kmsg", 0644, MINOR_KMSG}};

    chrdev_register(MEM_MAJOR, "mem", &mem_fops);
    for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++)
        devfs_node(nodes[i].name, S_IFCHR | nodes[i].mode, dev_make(MEM_MAJOR, nodes[i].minor));
}
