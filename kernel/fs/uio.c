// Moving bytes between the kernel and the buffers of a read or write. See uio.h.
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/usercopy.h"

void uio_kernel(struct uio *u, struct iovec_k *one, void *buf, size_t n)
{
    *one = (struct iovec_k){buf, n};
    *u = (struct uio){.iov = one, .iovcnt = 1, .resid = n};
}

void uio_user(struct uio *u, struct iovec_k *one, void __user *buf, size_t n)
{
    uio_kernel(u, one, buf, n);
    u->user = true;
}

enum direction { IN, OUT, ZERO };

// Copies one piece; returns how many bytes it moved.
static size_t move(bool user, enum direction dir, char *base, char *data, size_t n)
{
    if (dir == ZERO) {
        if (user)
            return clear_user(base, n) ? 0 : n;
        memset(base, 0, n);
    } else if (dir == OUT) {
        if (user)
            return n - copy_to_user_partial(base, data, n);
        memcpy(base, data, n);
    } else {
        if (user)
            return n - copy_from_user_partial(data, base, n);
        memcpy(data, base, n);
    }
    return n;
}

static long transfer(struct uio *u, enum direction dir, char *data, size_t n)
{
    size_t done = 0;

    n = min(n, u->resid);
    while (done < n) {
        struct iovec_k *v = u->iov;
        size_t piece = min(n - done, v->len - u->offset);
        size_t moved = move(u->user, dir, (char *)v->base + u->offset, data + done, piece);
        done += moved;
        u->offset += moved;
        u->resid -= moved;
        if (moved < piece)
            break;
        if (u->offset == v->len && u->iovcnt > 1) {
            u->iov++;
            u->iovcnt--;
            u->offset = 0;
        }
    }
    return done || !n ? (long)done : -EFAULT;
}

long uio_write(struct uio *u, const void *src, size_t n)
{
    return transfer(u, OUT, (char *)src, n);
}

long uio_read(struct uio *u, void *dst, size_t n)
{
    return transfer(u, IN, dst, n);
}

long uio_write_zeros(struct uio *u, size_t n)
{
    return transfer(u, ZERO, NULL, n);
}
