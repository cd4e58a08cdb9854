// eventfd(2): a counter that can be waited for, also by the kernel itself.
#pragma once
#include "kernel/fs/vfs.h"

struct wait_queue;

int eventfd_new(u32 count, u32 flags); // a descriptor, or -errno
bool is_eventfd(const struct file *f);
// As a write of n, but it never sleeps: a count that is full stays so.
void eventfd_add(struct file *f, u64 n);
u64 eventfd_take(struct file *f); // reads the count and clears it; 0: there was nothing
struct wait_queue *eventfd_queue(struct file *f); // woken at each change
