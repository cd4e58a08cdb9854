// Sleeping and waking. The kernel lock makes "test, then sleep" atomic: no wake-up is lost.
#pragma once
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

struct task;

struct wait_queue {
    struct list waiters;
};

struct wait_entry { // one sleeper in one queue; poll uses several
    struct list link;
    struct task *task;
    bool woken;
    void (*wake)(struct wait_entry *e); // NULL: wake the task
};

static inline bool wait_queue_empty(const struct wait_queue *q)
{
    return list_empty(&q->waiters);
}
static inline void wait_queue_init(struct wait_queue *q)
{
    list_init(&q->waiters);
}

#define WAIT_FOREVER UINT64_MAX

// Sleeps until woken, a signal comes (-ERESTARTSYS) or clock_ns() reaches deadline (-ETIMEDOUT). 0
// when woken, perhaps for nothing: test again.
int wait_sleep(struct wait_queue *q, u64 deadline_ns);
// As wait_sleep, but only SIGKILL interrupts it.
int wait_sleep_killable(struct wait_queue *q, u64 deadline_ns);
// As wait_sleep, but nothing interrupts it.
void wait_sleep_forever(struct wait_queue *q);
// Several queues at once (poll): add entries, sleep, remove.
void wait_add(struct wait_queue *q, struct wait_entry *e);
void wait_remove(struct wait_entry *e);
// Sleeps until an entry of this task is woken, a signal or the deadline.
int wait_sleep_entries(u64 deadline_ns);

void wake_all(struct wait_queue *q);
void wake_one(struct wait_queue *q);

// Loops until cond is true: evaluates to 0, or to the error of the sleep.
#define wait_event_until(q, cond, deadline)                                                        \
    ({                                                                                             \
        int err_ = 0;                                                                              \
        while (!(cond) && !(err_ = wait_sleep((q), (deadline))))                                   \
            ;                                                                                      \
        err_;                                                                                      \
    })
#define wait_event(q, cond) wait_event_until(q, cond, WAIT_FOREVER)

struct completion {
    struct wait_queue queue;
    bool done;
};
