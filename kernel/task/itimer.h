// Interval timers: getitimer(2), setitimer(2), alarm(2).
#pragma once
#include <linux/time_types.h>
#include "kernel/task/task.h"

// `which` is ITIMER_REAL, ITIMER_VIRTUAL or ITIMER_PROF; times in ns. 0, -EINVAL, -ENOMEM.
int itimer_set(int which, u64 value_ns, u64 interval_ns);
int itimer_get(int which, u64 *value_ns, u64 *interval_ns);
void itimer_charge_slow(struct task *t, u64 user_ns, u64 system_ns);

// Counts CPU time against ITIMER_VIRTUAL and ITIMER_PROF of t's process.
static inline void itimer_charge(struct task *t, u64 user_ns, u64 system_ns)
{
    if (t->process && t->process->itimer)
        itimer_charge_slow(t, user_ns, system_ns);
}
