// What memory management asks of the task floor: whose memory it is, how a fault is told, and who
// dies when memory runs out.

#include "kernel/mm/oom.h"
#include "container/cgroup/cgroup.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/hooks.h"
#include "kernel/task/sched.h"
#include "kernel/task/task_internal.h"
#include "kernel/x86/log.h"

static struct cgroup *current_cgroup(void)
{
    struct task *t = current();

    return t && t->cgroup ? t->cgroup : &cgroup_root;
}

// Resident pages, raised or lowered by oom_score_adj (thousandths of all memory are not known here:
// of its own size); 0: spared.
static u64 badness(struct process *p)
{
    struct aspace *as = process_aspace(p);

    if (!as || p->oom_score_adj <= -1000 || p->pid == NULL || pid_nr(p->pid, &init_pid_ns) == 1)
        return 0;
    s64 adjusted = (s64)as->resident + (s64)as->resident * p->oom_score_adj / 1000;
    return adjusted > 0 ? adjusted : 1;
}

static bool kill_largest(struct cgroup *over)
{
    struct process *victim = NULL;
    u64 most = 0;
    struct task *t;

    list_for_each (t, &all_tasks, all_link) {
        struct process *p = t->process;
        if (t != p->leader || t->kernel_thread || (over && !cgroup_within(t->cgroup, over)))
            continue;
        if (p->group_exit && p->thread_count)
            return true; // somebody there is dying already: its memory comes back soon
        u64 points = badness(p);
        if (points > most) {
            most = points;
            victim = p;
        }
    }
    if (!victim)
        return false;
    siginfo_t info = {.si_signo = SIGKILL, .si_code = SI_KERNEL};
    kprintf("out of memory%s%s: killed process %d (%s) with %lu KiB\n", over ? " in cgroup " : "",
            over ? over->name : "", pid_nr(victim->pid, &init_pid_ns), victim->leader->comm,
            process_aspace(victim)->resident * 4);
    cgroup_count_oom_kill(victim->leader->cgroup);
    signal_send_process(victim, SIGKILL, &info);
    if (!victim->group_exit) // init of a pid namespace: the kernel's SIGKILL reaches it too
        return false;
    return true;
}

static struct aspace *current_aspace(void)
{
    return current()->aspace;
}

static void let_others_run(void)
{
    sched_yield_current();
    cond_resched();
}

static const struct mm_task_ops mm_ops = {
    .current_aspace = current_aspace,
    .fault_signal = signal_force,
    .dying = fatal_signal_pending,
    .yield = let_others_run,
    .relax = cond_resched,
};

void oom_init(void)
{
    mm_task_ops = &mm_ops;
    oom_kill_hook = kill_largest;
    oom_current_cgroup = current_cgroup;
}
