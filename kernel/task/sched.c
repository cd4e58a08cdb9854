// The scheduler. Runnable tasks wait in one queue ordered by virtual runtime: CPU time divided by
// the task's weight. A CPU that needs work takes the first that may run on it. A running task keeps
// its CPU until its slice ends and somebody is behind it in virtual time, until a waking task is
// far behind it, or until it sleeps.
//
// All under the kernel lock. The lock belongs to the CPU, so it passes through context_switch with
// the CPU.

#include "kernel/task/sched.h"
#include "container/cgroup/cgroup.h"
#include "kernel/mm/aspace.h"
#include "kernel/task/sched_internal.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/klock.h"
#include "kernel/x86/log.h"
#include "kernel/x86/percpu.h"

#define SLICE_NS (4 * NSEC_PER_MSEC)
#define WAKE_PREEMPT_NS NSEC_PER_MSEC         // a waking task must be this far behind to preempt
#define SLEEPER_CREDIT_NS (3 * NSEC_PER_MSEC) // what a long sleep is worth at most
#define MIN_DEADLINE_NS (10 * NSEC_PER_USEC)  // the timer is not set closer than this
#define HANDOFF_NS (200 * NSEC_PER_USEC)      // how long a woken task waits for its waker to sleep

static struct list queue = LIST_INIT(queue); // by vruntime
static u32 queued;
static u64 min_vruntime; // never goes back
static struct task *switched_from[MAX_CPUS];
static u64 armed_ns[MAX_CPUS]; // when the CPU's timer fires, UINT64_MAX: never

void sched_program_deadline(u64 ns)
{
    u32 id = this_cpu()->id;

    if (ns >= armed_ns[id])
        return;
    armed_ns[id] = ns;
    clock_set_deadline(ns);
}

// For t, which runs now: the end of its slice, or of its cgroup's quota.
static void arm_slice(struct task *t, u64 now)
{
    u64 left = SLICE_NS;

    if (t != this_cpu()->idle) {
        if (t->cgroup && t->cgroup != &cgroup_root)
            left = min(left, cgroup_cpu_left(t->cgroup, now));
        sched_program_deadline(now + max(left, MIN_DEADLINE_NS));
    }
    sched_program_deadline(timer_next_deadline());
}

static bool allowed(const struct task *t, const struct percpu *cpu)
{
    return t->affinity & BIT(cpu->id);
}

void sched_count_runnable(struct task *t, bool runnable)
{
    if (t->counted == runnable || !t->cgroup)
        return;
    t->counted = runnable;
    cgroup_count_runnable(t->cgroup, runnable ? 1 : -1);
}

static void queue_insert(struct task *t)
{
    struct list *pos = queue.prev;

    while (pos != &queue && list_entry(pos, struct task, rq_link)->vruntime > t->vruntime)
        pos = pos->prev;
    list_insert_between(&t->rq_link, pos, pos->next);
    t->on_rq = true;
    queued++;
}

void sched_advance(struct task *t, u64 vruntime)
{
    t->vruntime += vruntime;
    u64 least = t->vruntime;
    if (!list_empty(&queue))
        least = min(least, list_first(&queue, struct task, rq_link)->vruntime);
    min_vruntime = max(min_vruntime, least);
}

static void queue_remove(struct task *t)
{
    list_remove(&t->rq_link);
    t->on_rq = false;
    queued--;
}

static void resched_cpu(struct percpu *cpu)
{
    cpu->need_resched = true;
    if (cpu != this_cpu())
        ipi_send(cpu->id, VEC_RESCHED);
}

static bool is_idle(const struct percpu *cpu)
{
    return cpu->online && cpu->idle && cpu->current == cpu->idle && !cpu->need_resched;
}

// An idle CPU that may run t, its last one first; NULL if there is none.
static struct percpu *idle_cpu_for(const struct task *t)
{
    struct percpu *last = &percpu_data[t->cpu];

    if (is_idle(last) && allowed(t, last))
        return last;
    for_each_cpu (cpu) {
        if (is_idle(cpu) && allowed(t, cpu))
            return cpu;
    }
    return NULL;
}

static u64 vruntime_ahead_of(const struct percpu *cpu, const struct task *t, u64 now)
{
    struct task *running = cpu->current;
    u64 reached = running->vruntime + sched_weighted(running, now - running->last_stamp_ns);

    return reached > t->vruntime ? reached - t->vruntime : 0;
}

// Preempts the CPU whose task is furthest ahead of t, if far enough.
static void preempt_for(struct task *t, u64 now)
{
    struct percpu *worst = NULL;
    u64 most = WAKE_PREEMPT_NS;

    for_each_cpu (cpu) {
        if (!cpu->online || !cpu->idle || !allowed(t, cpu) || cpu->current == cpu->idle ||
            cpu->need_resched)
            continue;
        u64 ahead = vruntime_ahead_of(cpu, t, now);
        if (ahead > most) {
            most = ahead;
            worst = cpu;
        }
    }
    if (worst)
        resched_cpu(worst);
}

// True if the current task made a system call, and this is no interrupt that came over it.
static bool in_system_call(void)
{
    const struct task *t = current();

    return t->kernel_thread || t->tf->vector >= VEC_SYSCALL || t->tf->vector < VEC_IRQ_BASE;
}

// Finds somebody to run t, which is in the queue, soon. Who wakes another in a system call often
// sleeps next: then t runs here, with no interrupt to another CPU; only if t still waits after
// HANDOFF_NS an idle CPU is called.
static void find_cpu_for(struct task *t)
{
    struct percpu *cpu = this_cpu(), *idle;
    u64 now = clock_ns();

    if (is_idle(cpu) && allowed(t, cpu)) {
        cpu->need_resched = true;
        return;
    }
    idle = idle_cpu_for(t);
    if (!idle) {
        preempt_for(t, now);
    } else if (cpu->current == cpu->idle || !allowed(t, cpu) || !in_system_call()) {
        resched_cpu(idle);
    } else {
        sched_program_deadline(now + HANDOFF_NS);
        if (vruntime_ahead_of(cpu, t, now) > WAKE_PREEMPT_NS)
            cpu->need_resched = true;
    }
}

// Calls idle CPUs for tasks that wait.
static void call_idle_cpus(void)
{
    struct percpu *idle;
    struct task *t;

    list_for_each (t, &queue, rq_link) {
        idle = idle_cpu_for(t);
        if (!idle)
            return;
        resched_cpu(idle);
    }
}

void sched_enqueue(struct task *t)
{
    if (!park_unless_may_run(t, clock_ns()))
        return;
    u64 floor = min_vruntime > SLEEPER_CREDIT_NS ? min_vruntime - SLEEPER_CREDIT_NS : 0;
    if (t->vruntime < floor)
        t->vruntime = floor;
    sched_count_runnable(t, true);
    queue_insert(t);
    find_cpu_for(t);
}

void sched_wake(struct task *t)
{
    if (t->state == TASK_RUNNABLE || t->state == TASK_ZOMBIE)
        return;
    t->state = TASK_RUNNABLE;
    if (!t->running)
        sched_enqueue(t);
}

void sched_kick(struct task *t)
{
    if (t->parked)
        sched_cgroup_changed(t);
    else if (t->running && t != current())
        resched_cpu(&percpu_data[t->cpu]);
}

u32 sched_runnable(void)
{
    u32 n = queued;

    for_each_cpu (cpu)
        n += cpu->online && cpu->idle && cpu->current != cpu->idle;
    return n;
}

void timer_tick(void)
{
    struct percpu *cpu = this_cpu();
    u64 now = clock_ns();

    armed_ns[cpu->id] = UINT64_MAX;
    sched_account_now();
    timer_run_expired(now);
    struct task *t = current();
    if (t != cpu->idle) {
        account_check_limit(t);
        bool behind =
            !list_empty(&queue) && list_first(&queue, struct task, rq_link)->vruntime < t->vruntime;
        if (behind || !task_may_run(t, now))
            cpu->need_resched = true;
    }
    call_idle_cpus();
    arm_slice(t, now);
}

static struct task *pick_next(struct percpu *cpu, u64 now)
{
    struct task *t, *tmp;

    list_for_each_safe (t, tmp, &queue, rq_link) {
        if (!allowed(t, cpu))
            continue;
        queue_remove(t);
        if (park_unless_may_run(t, now))
            return t;
        sched_count_runnable(t, false);
    }
    return cpu->idle;
}

void sched_finish_switch(void)
{
    struct percpu *cpu = this_cpu();
    struct task *prev = switched_from[cpu->id];

    prev->running = false;
    if (prev->state == TASK_ZOMBIE)
        task_put(prev);
    // Preempted, and another CPU has nothing to do.
    else if (prev->on_rq && prev != cpu->idle)
        find_cpu_for(prev);
}

// Loads what the CPU keeps for the task that runs: kernel stack, address space, FPU, FS and GS
// bases.
static void load_task(struct percpu *cpu, struct task *prev, struct task *next)
{
    if (prev->sched_out)
        prev->sched_out(prev);
    if (prev->fpu && prev->state != TASK_ZOMBIE)
        fpu_save(prev->fpu);
    cpu->current = next;
    if (next->kstack) {
        cpu->kernel_rsp = (u64)next->kstack + KSTACK_SIZE;
        cpu->tss.rsp[0] = cpu->kernel_rsp;
    }
    if (prev->aspace != next->aspace)
        aspace_switch(prev->aspace, next->aspace);
    if (next->fpu) {
        fpu_restore(next->fpu);
        wrmsr(MSR_FS_BASE, next->fs_base);
        wrmsr(MSR_KERNEL_GS_BASE, next->gs_base);
    }
}

static void switch_to(struct percpu *cpu, struct task *prev, struct task *next, u64 now)
{
    next->running = true;
    next->cpu = cpu->id;
    next->last_stamp_ns = now;
    cpu->entry_tsc = rdtsc();
    load_task(cpu, prev, next);
    switched_from[cpu->id] = prev;
    context_switch(&prev->context, next->context);
    sched_finish_switch();
}

void schedule(void)
{
    struct percpu *cpu = this_cpu();
    struct task *prev = current();

    sched_account_now();
    u64 now = prev->last_stamp_ns;
    cpu->need_resched = false;
    if (prev != cpu->idle && prev->state == TASK_RUNNABLE && park_unless_may_run(prev, now))
        queue_insert(prev);
    else
        sched_count_runnable(prev, false);
    struct task *next = pick_next(cpu, now);
    arm_slice(next, now);
    if (next == prev)
        return;
    if (prev->on_rq)
        prev->nivcsw++;
    else
        prev->nvcsw++;
    switch_to(cpu, prev, next, now);
}

void sched_yield_current(void)
{
    struct task *t = current();

    if (list_empty(&queue))
        return;
    sched_account_now();
    t->vruntime = max(t->vruntime, list_first(&queue, struct task, rq_link)->vruntime + 1);
    schedule();
}

void cond_resched(void)
{
    irq_window();
    if (this_cpu()->need_resched && current() != this_cpu()->idle)
        schedule();
}

bool resched_or_signal_pending(void)
{
    return this_cpu()->need_resched || signal_pending_current();
}

void sched_set_nice(struct task *t, int nice)
{
    t->nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
}

void sched_set_affinity(struct task *t, u64 mask)
{
    t->affinity = mask;
    if (!t->running || allowed(t, &percpu_data[t->cpu]))
        return;
    if (t == current())
        this_cpu()->need_resched = true;
    else
        resched_cpu(&percpu_data[t->cpu]);
}

static struct task idle_tasks[MAX_CPUS];

static void make_idle_task(struct percpu *cpu)
{
    struct task *t = &idle_tasks[cpu->id];

    t->state = TASK_RUNNABLE;
    t->running = true;
    t->cpu = cpu->id;
    t->affinity = BIT(cpu->id);
    t->kernel_thread = true;
    t->refs = 1;
    list_init(&t->rq_link);
    t->last_stamp_ns = clock_ns();
    cpu->current = t;
    armed_ns[cpu->id] = UINT64_MAX;
}

void sched_init(void)
{
    timer_init();
    park_init();
    make_idle_task(this_cpu());
}

void sched_start_cpu(void)
{
    struct percpu *cpu = this_cpu();

    if (!klock_held())
        klock_acquire();
    if (cpu->current != &idle_tasks[cpu->id])
        make_idle_task(cpu);
    cpu->idle = cpu->current;
    for (;;) {
        schedule();
        if (cpu->need_resched)
            continue;
        klock_release();
        sti_hlt();
        cli();
        klock_acquire();
    }
}
