// signalfd(2): the signals that wait for whoever reads.
#pragma once
#include "kernel/fs/vfs.h"

int signalfd_new(u64 mask, u32 flags);      // a descriptor, or -errno
int signalfd_set(struct file *f, u64 mask); // another mask: 0 or -EINVAL, not a signalfd
