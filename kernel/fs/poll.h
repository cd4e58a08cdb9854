// poll, select and epoll: how a file tells that it became ready.
#pragma once
#include <linux/eventpoll.h>
#include <linux/poll.h>
#include "kernel/fs/vfs.h"
#include "kernel/task/wait.h"

struct poll_table {
    // Called by a file's poll for each queue that may change its state.
    void (*add)(struct poll_table *pt, struct wait_queue *q);
};

static inline void poll_wait(struct poll_table *pt, struct wait_queue *q)
{
    if (pt)
        pt->add(pt, q);
}

// A poll_table that puts the current task into each queue.
#define POLL_INLINE 8
struct poll_chunk {
    struct poll_chunk *next;
    u32 used;
    struct wait_entry entries[POLL_INLINE];
};
struct poll_waiter {
    struct poll_table table;
    bool no_memory; // some queue could not be added
    struct poll_chunk *last;
    struct poll_chunk first;
};
void poll_waiter_init(struct poll_waiter *w);
void poll_waiter_done(struct poll_waiter *w); // out of all queues

// epoll.c: a file that is going away leaves all epoll sets.
void epoll_file_released(struct file *f);
