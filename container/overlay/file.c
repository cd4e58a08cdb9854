// Open regular files of an overlay: each holds the open file of the layer that has the content.
#include "container/overlay/overlay.h"
#include "kernel/lib/err.h"

static int open(struct inode *i, struct file *f)
{
    struct path real = overlay_real(i);
    struct file *inner = file_open(&real, f->flags & ~(O_CREAT | O_EXCL | O_TRUNC));

    if (IS_ERR(inner))
        return PTR_ERR(inner);
    f->private = inner;
    return 0;
}

static void release(struct file *f)
{
    file_put(f->private);
}

static long read(struct file *f, struct uio *u, u64 *pos)
{
    return file_read(f->private, u, pos);
}

static long write(struct file *f, struct uio *u, u64 *pos)
{
    struct file *inner = f->private;

    inner->flags = f->flags;
    long n = file_write(inner, u, pos);
    if (n > 0)
        overlay_refresh(f->inode);
    return n;
}

const struct file_ops overlay_file_ops = {
    .open = open,
    .release = release,
    .read = read,
    .write = write,
};
