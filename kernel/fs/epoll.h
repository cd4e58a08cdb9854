// epoll(7): sets of files that are watched, and of those that became ready.
#pragma once
#include <linux/eventpoll.h>
#include "kernel/fs/vfs.h"

int epoll_new(u32 flags); // a descriptor: EPOLL_CLOEXEC. -errno
bool is_epoll(const struct file *f);
// EPOLL_CTL_ADD, MOD, DEL of the descriptor fd, whose file is `target`. event may be NULL for DEL.
long epoll_control(struct file *ep, int op, struct file *target, int fd,
                   const struct epoll_event *event);
// Up to max ready events; sleeps until deadline_ns for the first. Number, 0, -ERESTARTNOHAND.
long epoll_collect(struct file *ep, struct epoll_event *events, int max, u64 deadline_ns);
