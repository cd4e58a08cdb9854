// Kernel timers: one list a CPU in deadline order. A timer fires on the CPU that set it; the
// scheduler programs the CPU's deadline clock for the earlier of the first timer and the end of the
// running task's slice.

#include "kernel/task/timer.h"
#include "kernel/task/sched_internal.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/percpu.h"

static struct list timers[MAX_CPUS];

void timer_init(void)
{
    for (int i = 0; i < MAX_CPUS; i++)
        list_init(&timers[i]);
}

void ktimer_set(struct ktimer *t, u64 deadline_ns, void (*fn)(struct ktimer *t))
{
    struct list *mine = &timers[this_cpu()->id];
    struct ktimer *pos;

    ktimer_cancel(t);
    deadline_ns = max(deadline_ns, 1UL); // 0 is no deadline to the clock
    t->deadline_ns = deadline_ns;
    t->fn = fn;
    t->armed = true;
    list_for_each (pos, mine, link) {
        if (pos->deadline_ns > deadline_ns)
            break;
    }
    list_append(&pos->link, &t->link);
    sched_program_deadline(deadline_ns);
}

void ktimer_cancel(struct ktimer *t)
{
    if (t->armed)
        list_remove(&t->link);
    t->armed = false;
}

u64 timer_next_deadline(void)
{
    struct list *mine = &timers[this_cpu()->id];

    return list_empty(mine) ? UINT64_MAX : list_first(mine, struct ktimer, link)->deadline_ns;
}

void timer_run_expired(u64 now)
{
    struct list *mine = &timers[this_cpu()->id];

    while (!list_empty(mine)) {
        struct ktimer *t = list_first(mine, struct ktimer, link);
        if (t->deadline_ns > now)
            break;
        ktimer_cancel(t);
        t->fn(t);
    }
}
