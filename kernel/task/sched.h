// The scheduler: fair by virtual runtime, weighted by nice and by the cgroup's cpu.weight, bounded
// by cpu.max.
//
// One runqueue for all CPUs: under the kernel lock it costs no more than one a CPU, nobody needs to
// balance, and the shares hold for the whole machine. A task goes back to the CPU that it had if
// that one is idle.
#pragma once
#include "kernel/lib/types.h"

struct cgroup;
struct task;

void sched_init(void); // boot CPU
void __noreturn
sched_start_cpu(void); // makes the caller this CPU's idle task and schedules for ever
// Gives up the CPU if current is not runnable or somebody else should run. Sleeps.
void schedule(void);
// Makes t runnable (from any sleep) and picks a CPU for it.
void sched_wake(struct task *t);
void sched_yield_current(void);
// Lets interrupts in and others run, in long loops of the kernel. Sleeps.
void cond_resched(void);
// True if current should leave the CPU or look at signals soon: the vCPU loop asks it before each
// entry to the guest.
bool resched_or_signal_pending(void);
// Sends t, if it runs on another CPU, through the kernel soon: signals, group exit.
void sched_kick(struct task *t);
// Brings current's times and its cgroup's up to now, user and system time told apart by the marks
// at kernel entry.
void sched_account_now(void);
// A task's cgroup changed, or the cgroup was frozen, thawed, unthrottled: look at it again.
void sched_cgroup_changed(struct task *t);
// True if no CPU runs a task of cg or below it: one that was frozen has come to rest.
bool sched_cgroup_rests(const struct cgroup *cg);
// Tasks that wait in the runqueue or run, for loadavg.
u32 sched_runnable(void);
void sched_set_nice(struct task *t, int nice);
void sched_set_affinity(struct task *t, u64 mask);
