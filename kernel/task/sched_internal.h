// What the scheduler's files share: the deadline clock, the parked tasks, the start of a new task.
#pragma once
#include "kernel/lib/types.h"

struct task;

// timer.c
void timer_init(void);
u64 timer_next_deadline(void); // of this CPU; UINT64_MAX: none
void timer_run_expired(u64 now);

// sched.c
// Makes this CPU's timer fire at `ns` unless it is to fire earlier anyway.
void sched_program_deadline(u64 ns);
// Puts a runnable task that no CPU runs into the runqueue, or parks it.
void sched_enqueue(struct task *t);
// Keeps the count of runnable tasks of t's cgroup right; for one that leaves its cgroup, too.
void sched_count_runnable(struct task *t, bool runnable);
// The first thing that a new task does: finishes the switch that brought it here.
void sched_finish_switch(void);

// Moves t, which is not in the runqueue, on in virtual time.
void sched_advance(struct task *t, u64 vruntime);

// account.c
u64 sched_weighted(const struct task *t, u64 delta_ns); // CPU time as virtual time of t
void account_check_limit(struct task *t);               // RLIMIT_CPU: SIGXCPU, SIGKILL

// park.c: tasks whose cgroup is throttled or frozen.
void park_init(void);
// True if t may run; else t, which is in no queue, is parked until it may.
bool park_unless_may_run(struct task *t, u64 now);
bool task_may_run(struct task *t, u64 now);
