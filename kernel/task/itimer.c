// Interval timers of a process: one on the clock (SIGALRM), two on its CPU time (SIGVTALRM,
// SIGPROF), checked as it is charged.

#include "kernel/task/itimer.h"
#include <linux/errno.h>
#include <linux/time.h>
#include "kernel/mm/slab.h"
#include "kernel/task/task_internal.h"
#include "kernel/task/timer.h"
#include "kernel/x86/clock.h"

struct cpu_itimer {
    u64 left_ns, interval_ns; // left 0: off
};

struct itimer_state {
    struct process *process;
    struct ktimer real;
    u64 real_interval_ns;
    struct cpu_itimer virtual, prof;
};

static void send(struct process *p, int sig)
{
    siginfo_t info = {.si_signo = sig, .si_code = SI_KERNEL};

    signal_send_process(p, sig, &info);
}

static void real_expired(struct ktimer *timer)
{
    struct itimer_state *it = container_of(timer, struct itimer_state, real);

    if (it->real_interval_ns) {
        u64 now = clock_ns(), next = timer->deadline_ns + it->real_interval_ns;
        if (next <= now)
            next = now + it->real_interval_ns;
        ktimer_set(timer, next, real_expired);
    }
    send(it->process, SIGALRM);
}

static void charge_one(struct process *p, struct cpu_itimer *it, u64 ns, int sig)
{
    if (!it->left_ns)
        return;
    if (it->left_ns > ns) {
        it->left_ns -= ns;
        return;
    }
    it->left_ns = it->interval_ns;
    send(p, sig);
}

void itimer_charge_slow(struct task *t, u64 user_ns, u64 system_ns)
{
    struct itimer_state *it = t->process->itimer;

    charge_one(t->process, &it->virtual, user_ns, SIGVTALRM);
    charge_one(t->process, &it->prof, user_ns + system_ns, SIGPROF);
}

int itimer_get(int which, u64 *value_ns, u64 *interval_ns)
{
    struct itimer_state *it = current()->process->itimer;

    *value_ns = *interval_ns = 0;
    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return -EINVAL;
    if (!it)
        return 0;
    if (which == ITIMER_REAL) {
        u64 now = clock_ns();
        *interval_ns = it->real_interval_ns;
        if (it->real.armed)
            *value_ns = it->real.deadline_ns > now ? it->real.deadline_ns - now : NSEC_PER_USEC;
        return 0;
    }
    struct cpu_itimer *c = which == ITIMER_VIRTUAL ? &it->virtual : &it->prof;
    *value_ns = c->left_ns;
    *interval_ns = c->interval_ns;
    return 0;
}

int itimer_set(int which, u64 value_ns, u64 interval_ns)
{
    struct process *p = current()->process;

    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return -EINVAL;
    if (!p->itimer) {
        if (!value_ns)
            return 0;
        p->itimer = kzalloc(sizeof(*p->itimer));
        if (!p->itimer)
            return -ENOMEM;
        p->itimer->process = p;
    }
    struct itimer_state *it = p->itimer;
    if (which == ITIMER_REAL) {
        it->real_interval_ns = interval_ns;
        ktimer_cancel(&it->real);
        if (value_ns)
            ktimer_set(&it->real, clock_ns() + value_ns, real_expired);
        return 0;
    }
    *(which == ITIMER_VIRTUAL ? &it->virtual : &it->prof) =
        (struct cpu_itimer){value_ns, interval_ns};
    return 0;
}

void itimer_free(struct process *p)
{
    if (!p->itimer)
        return;
    ktimer_cancel(&p->itimer->real);
    kfree(p->itimer);
    p->itimer = NULL;
}
