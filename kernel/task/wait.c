// Sleeping and waking. A sleeper is an entry on its own stack in the queue's list. See wait.h.

#include "kernel/task/wait.h"
#include "kernel/lib/err.h"
#include "kernel/task/sched.h"
#include "kernel/task/task.h"
#include "kernel/task/timer.h"
#include "kernel/x86/clock.h"

struct sleep_timer {
    struct ktimer timer;
    struct task *task;
};

static void sleep_timeout(struct ktimer *timer)
{
    sched_wake(container_of(timer, struct sleep_timer, timer)->task);
}

// Sleeps in `state` until current->woken, the deadline, or a signal that counts (none does for a
// task that exits).
static int sleep_until_woken(enum task_state state, bool killable, u64 deadline)
{
    struct task *t = current();
    struct sleep_timer st = {.task = t};
    int err = 0;

    while (!t->woken) {
        if (!t->exiting && ((state == TASK_SLEEPING && signal_pending_current()) ||
                            (killable && fatal_signal_pending()))) {
            err = -ERESTARTSYS;
            break;
        }
        if (deadline != WAIT_FOREVER && clock_ns() >= deadline) {
            err = -ETIMEDOUT;
            break;
        }
        if (deadline != WAIT_FOREVER)
            ktimer_set(&st.timer, deadline, sleep_timeout);
        t->killable = killable;
        t->state = state;
        schedule();
    }
    ktimer_cancel(&st.timer);
    return err;
}

static int sleep_in(struct wait_queue *q, enum task_state state, bool killable, u64 deadline)
{
    struct task *t = current();
    struct wait_entry e = {.task = t};
    bool before = t->woken; // by entries for wait_sleep_entries, if this is a sleep inside a poll

    t->woken = false;
    wait_add(q, &e);
    int err = sleep_until_woken(state, killable, deadline);
    // A wake_one that met a signal must not be lost for the others: the wake-up counts.
    if (e.woken)
        err = 0;
    wait_remove(&e);
    t->woken = before || (t->woken && !e.woken);
    return err;
}

int wait_sleep(struct wait_queue *q, u64 deadline_ns)
{
    return sleep_in(q, TASK_SLEEPING, true, deadline_ns);
}

int wait_sleep_killable(struct wait_queue *q, u64 deadline_ns)
{
    return sleep_in(q, TASK_UNINTERRUPTIBLE, true, deadline_ns);
}

void wait_sleep_forever(struct wait_queue *q)
{
    sleep_in(q, TASK_UNINTERRUPTIBLE, false, WAIT_FOREVER);
}

void wait_add(struct wait_queue *q, struct wait_entry *e)
{
    e->woken = false;
    list_append(&q->waiters, &e->link);
}

void wait_remove(struct wait_entry *e)
{
    list_remove(&e->link);
}

int wait_sleep_entries(u64 deadline_ns)
{
    int err = sleep_until_woken(TASK_SLEEPING, true, deadline_ns);

    current()->woken = false;
    return err;
}

// True if the entry was a sleeper that now wakes for this.
static bool wake_entry(struct wait_entry *e)
{
    bool fresh = !e->woken;

    e->woken = true;
    if (e->wake) {
        e->wake(e);
        return false;
    }
    e->task->woken = true;
    sched_wake(e->task);
    return fresh;
}

void wake_all(struct wait_queue *q)
{
    struct wait_entry *e, *tmp;

    list_for_each_safe (e, tmp, &q->waiters, link)
        wake_entry(e);
}

void wake_one(struct wait_queue *q)
{
    struct wait_entry *e, *tmp;

    list_for_each_safe (e, tmp, &q->waiters, link) {
        if (wake_entry(e))
            return;
    }
}
