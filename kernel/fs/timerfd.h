// timerfd_create(2): a timer that is read.
#pragma once
#include "kernel/fs/vfs.h"

int timerfd_new(int clock, u32 flags); // a descriptor, or -errno
bool is_timerfd(const struct file *f);
// What is left (0: it does not run) and the interval, in ns.
void timerfd_get(struct file *f, u64 *left_ns, u64 *interval_ns);
// Starts it anew: value 0 stops it. `absolute`: value is a moment of its clock.
void timerfd_set(struct file *f, u64 value_ns, u64 interval_ns, bool absolute);
