// Where the bytes of a read or write go: kernel memory or user buffers, one or many. (BSD's uio.)
#pragma once
#include "kernel/lib/types.h"

struct iovec_k {
    void *base;
    u64 len;
};

struct uio {
    bool user;           // the buffers are user addresses
    struct iovec_k *iov; // not owned
    unsigned iovcnt;
    u64 offset; // into the first
    u64 resid;  // bytes left
};

void uio_kernel(struct uio *u, struct iovec_k *one, void *buf, size_t n);
void uio_user(struct uio *u, struct iovec_k *one, void __user *buf, size_t n);
// Moves up to n bytes into (uio_write) or out of (uio_read) the buffers; bytes moved, or -EFAULT if
// not one could be. May sleep.
long uio_write(struct uio *u, const void *src, size_t n);
long uio_read(struct uio *u, void *dst, size_t n);
long uio_write_zeros(struct uio *u, size_t n);
