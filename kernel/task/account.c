// CPU time: who is charged for it, and what it weighs. A CPU stamps the TSC at each entry from user
// mode, so that user and system time are told apart exactly; what is charged is the clock between
// two stamps of a task.

#include "container/cgroup/cgroup.h"
#include "kernel/task/itimer.h"
#include "kernel/task/sched.h"
#include "kernel/task/sched_internal.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/percpu.h"

#define WEIGHT_UNIT 1024 // of a task of nice 0 in the root cgroup

// 1.25 times as much for each step of nice: sched(7).
static u32 nice_weight(int nice)
{
    static u32 weights[40];

    if (!weights[20]) {
        u64 up = WEIGHT_UNIT << 10, down = WEIGHT_UNIT << 10;
        for (int i = 0; i <= 20; i++, up += up / 4, down -= down / 5) {
            weights[20 - i] = up >> 10;
            if (i < 20)
                weights[20 + i] = down >> 10;
        }
    }
    return weights[nice + 20];
}

u64 sched_weighted(const struct task *t, u64 delta_ns)
{
    u64 weight = nice_weight(t->nice);

    if (t->cgroup && t->cgroup != &cgroup_root)
        weight = weight * cgroup_effective_weight(t->cgroup) / WEIGHT_UNIT;
    return delta_ns * WEIGHT_UNIT / max(weight, 1UL);
}

// Charges `user` and `system` nanoseconds to t and its cgroup.
static void charge(struct task *t, u64 now, u64 user, u64 system)
{
    t->utime_ns += user;
    t->stime_ns += system;
    sched_advance(t, sched_weighted(t, user + system));
    if (t->cgroup && user)
        cgroup_charge_cpu(t->cgroup, now, user, true);
    if (t->cgroup && system)
        cgroup_charge_cpu(t->cgroup, now, system, false);
    itimer_charge(t, user, system);
}

// Time since the last stamp: what the TSC marks at entry and exit say was the kernel's, the rest
// the user's.
void sched_account_now(void)
{
    struct percpu *cpu = this_cpu();
    struct task *t = cpu->current;
    u64 now = clock_ns(), tsc = rdtsc(), delta = now - t->last_stamp_ns;

    t->last_stamp_ns = now;
    if (t == cpu->idle) {
        cpu->idle_ns += delta;
        return;
    }
    if (cpu->entry_tsc) {
        t->system_tsc += tsc - cpu->entry_tsc;
        cpu->entry_tsc = tsc;
    }
    u64 system = t->kernel_thread ? delta : t->system_tsc * 1000000 / clock_tsc_khz();
    t->system_tsc = 0;
    system = min(system, delta);
    charge(t, now, delta - system, system);
}

void account_check_limit(struct task *t)
{
    struct process *p = t->process;
    struct rlimit64 *limit = p ? &p->rlimits[RLIMIT_CPU] : NULL;
    u64 user, system;

    if (!p || limit->rlim_cur == RLIM64_INFINITY)
        return;
    process_times(p, &user, &system);
    u64 seconds = (user + system) / NSEC_PER_SEC;
    if (seconds >= limit->rlim_max) {
        signal_send_process(p, SIGKILL, NULL);
    } else if (seconds >= limit->rlim_cur) {
        signal_send_process(p, SIGXCPU, NULL);
        limit->rlim_cur++; // and again after each further second
    }
}
