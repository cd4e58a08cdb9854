// Tasks that are runnable but may not run: their cgroup has used up its cpu.max, or is frozen. They
// leave the runqueue for the parking list, and come back when the quota's period ends (a timer) or
// when the cgroup is thawed (sched_cgroup_changed). A task that must die runs regardless of both.

#include "container/cgroup/cgroup.h"
#include "kernel/task/sched.h"
#include "kernel/task/sched_internal.h"
#include "kernel/task/task.h"
#include "kernel/task/timer.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/percpu.h"

static struct list parked = LIST_INIT(parked);
static struct ktimer unpark_timer;

void park_init(void)
{
    list_init(&parked);
}

bool task_may_run(struct task *t, u64 now)
{
    if (!t->cgroup || t->kernel_thread || t->exiting || t->process->group_exit)
        return true;
    return cgroup_may_run(t->cgroup, now);
}

static void unpark(struct task *t)
{
    list_remove(&t->rq_link);
    t->parked = false;
    sched_enqueue(t);
}

// Lets everybody go who may run now, and comes back when the next throttled one may.
static void unpark_expired(struct ktimer *timer)
{
    u64 now = clock_ns(), next = UINT64_MAX;
    struct list waiting;
    struct task *t, *tmp;

    // sched_enqueue may park again: work on a list of our own.
    list_init(&waiting);
    list_for_each_safe (t, tmp, &parked, rq_link) {
        if (task_may_run(t, now)) {
            list_remove(&t->rq_link);
            list_append(&waiting, &t->rq_link);
            continue;
        }
        u64 until = cgroup_throttled_until(t->cgroup, now);
        if (until && until < next)
            next = until;
    }
    list_for_each_safe (t, tmp, &waiting, rq_link)
        unpark(t);
    if (next != UINT64_MAX)
        ktimer_set(timer, max(next, now + NSEC_PER_USEC), unpark_expired);
}

bool park_unless_may_run(struct task *t, u64 now)
{
    if (task_may_run(t, now))
        return true;
    t->parked = true;
    list_append(&parked, &t->rq_link);
    cgroup_notify_frozen(t->cgroup);
    u64 until = cgroup_throttled_until(t->cgroup, now);
    if (until && (!unpark_timer.armed || unpark_timer.deadline_ns > until))
        ktimer_set(&unpark_timer, max(until, now + NSEC_PER_USEC), unpark_expired);
    return false;
}

void sched_cgroup_changed(struct task *t)
{
    u64 now = clock_ns();

    if (t->parked && task_may_run(t, now))
        unpark(t);
    else if (t->running && !task_may_run(t, now))
        sched_kick(t);
}

bool sched_cgroup_rests(const struct cgroup *cg)
{
    for_each_cpu (c) {
        if (c->current && c->current->cgroup && cgroup_within(c->current->cgroup, cg))
            return false;
    }
    return true;
}
