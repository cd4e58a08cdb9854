#include "kernel/syscall/vector.h"
#include <linux/uio.h>
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"

static_assert(sizeof(struct iovec) == sizeof(struct iovec_k), "copied as it is");

long vector_get(struct uio *u, const void __user *iov, int count, struct iovec_k *few,
                int few_count)
{
    struct iovec_k *v = few;
    u64 total = 0;

    if (count < 0 || count > UIO_MAXIOV)
        return -EINVAL;
    if (count > few_count && !(v = kmalloc(count * sizeof(*v))))
        return -ENOMEM;
    *u = (struct uio){.user = true, .iov = v};
    int err = copy_from_user(v, iov, count * sizeof(*v));
    for (int n = 0; n < count && !err; n++) {
        if ((s64)v[n].len < 0)
            err = -EINVAL;
        v[n].len = min(v[n].len, RW_MAX - total);
        total += v[n].len;
        if (v[n].len)
            v[u->iovcnt++] = v[n];
    }
    u->resid = total;
    return err;
}
