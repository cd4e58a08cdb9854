// The buffers of readv(2), writev(2), sendmsg(2) and recvmsg(2).
#pragma once
#include "kernel/fs/uio.h"

#define RW_MAX 0x7ffff000UL // bytes in one call, as in Linux

// The user's array of buffers in `few` or in memory of its own (u->iov then, even on error: kfree),
// empty ones left out. 0, -EINVAL, -EFAULT, -ENOMEM.
long vector_get(struct uio *u, const void __user *iov, int count, struct iovec_k *few,
                int few_count);
