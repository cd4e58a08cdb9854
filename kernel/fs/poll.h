// poll, select and epoll: how a file tells that it became ready.
#pragma once
#include "kernel/fs/vfs.h"
#include "kernel/task/wait.h"

#define POLL_TABLE_MAX 256

struct poll_table {
    void (*add)(struct poll_table *pt, struct wait_queue *q); // called by a file's poll for each queue that may change its state
};

static inline void poll_wait(struct poll_table *pt, struct wait_queue *q)
{
    if (pt)
        pt->add(pt, q);
}
