// Tasks and processes: making and freeing the structures, kernel threads, cgroup membership.

#include "kernel/task/task.h"
#include <linux/errno.h>
#include "container/cgroup/cgroup.h"
#include "container/ns/ns.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/oom.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/loadavg.h"
#include "kernel/task/sched.h"
#include "kernel/task/sched_internal.h"
#include "kernel/task/task_internal.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/log.h"

#define KSTACK_ORDER 2
static_assert(KSTACK_SIZE == PAGE_SIZE << KSTACK_ORDER, "kernel stacks are frames");

struct list all_tasks = LIST_INIT(all_tasks);
const struct task_file_ops *task_file_ops;

// Number 0: the group and session of kernel threads, and of init until it calls setsid.
static struct pid init_pid = {.refs = 1, .numbers = {{0, &init_pid_ns}}};
static struct session init_session = {.refs = 1, .pid = &init_pid};
struct process_group init_pgrp = {
    .refs = 1, .pid = &init_pid, .session = &init_session, .members = LIST_INIT(init_pgrp.members)};

struct task *task_alloc(void)
{
    struct task *t = kzalloc_charged(sizeof(*t));
    struct fpu_state *fpu = kmalloc_charged(sizeof(*fpu));
    struct page *stack = frame_alloc(KSTACK_ORDER, 0);

    if (!t || !fpu || !stack || !page_charge(stack, oom_current_cgroup())) {
        kfree(t);
        kfree(fpu);
        if (stack)
            page_put(stack);
        return NULL;
    }
    t->refs = 1;
    t->kstack = page_to_virt(stack);
    t->tf = (struct trapframe *)(t->kstack + KSTACK_SIZE) - 1;
    memset(t->tf, 0, sizeof(*t->tf));
    t->fpu = fpu;
    fpu_state_init(fpu);
    t->context = context_init((u64)t->tf, task_first_run, t);
    t->state = TASK_UNINTERRUPTIBLE;
    t->affinity = UINT64_MAX;
    t->start_ns = clock_ns();
    list_init(&t->rq_link);
    list_init(&t->thread_link);
    list_init(&t->all_link);
    list_init(&t->cgroup_link);
    sigqueue_init(&t->pending);
    return t;
}

struct process *process_alloc(void)
{
    struct process *p = kzalloc_charged(sizeof(*p));

    if (!p)
        return NULL;
    p->refs = 1;
    p->dumpable = true;
    p->start_ns = clock_ns();
    list_init(&p->threads);
    list_init(&p->children);
    list_init(&p->sibling);
    list_init(&p->pgrp_link);
    wait_queue_init(&p->child_wait);
    sigqueue_init(&p->pending);
    return p;
}

struct task *task_get(struct task *t)
{
    t->refs++;
    return t;
}

void task_put(struct task *t)
{
    if (--t->refs)
        return;
    page_put(virt_to_page(t->kstack));
    kfree(t->fpu);
    kfree(t);
}

struct process *process_get(struct process *p)
{
    p->refs++;
    return p;
}

void process_put(struct process *p)
{
    if (--p->refs)
        return;
    itimer_free(p);
    sigqueue_flush(&p->pending, UINT64_MAX);
    kfree(p);
}

void task_publish(struct task *t)
{
    struct process *p = t->process;

    t->refs++; // for the CPU: dropped when it has switched away from it for the last time
    t->pid->task = t;
    list_append(&all_tasks, &t->all_link);
    list_append(&p->threads, &t->thread_link);
    p->thread_count++;
    list_append(&t->cgroup->tasks, &t->cgroup_link);
    cgroup_count_task(t->cgroup, 1);
}

static void leave_cgroup(struct task *t)
{
    if (!t->cgroup)
        return;
    sched_count_runnable(t, false);
    cgroup_uncharge_pids(t->cgroup, 1);
    cgroup_put(t->cgroup);
    t->cgroup = NULL;
}

void task_abandon(struct task *t)
{
    struct process *p = t->process;

    if (t->files || t->fs)
        task_file_ops->exit(t);
    if (t->aspace)
        aspace_put(t->aspace);
    nsset_put(t->nsset);
    if (t->cred)
        cred_put(t->cred);
    leave_cgroup(t);
    if (p && p->leader == t) {
        sighand_put(p->sighand);
        process_put(p);
    }
    pid_put(t->pid);
    task_put(t);
}

void task_release(struct task *t)
{
    list_remove(&t->all_link);
    sigqueue_flush(&t->pending, UINT64_MAX);
    leave_cgroup(t);
    if (t->pid->task == t)
        t->pid->task = NULL;
    pid_put(t->pid);
    t->pid = NULL;
    cred_put(t->cred);
    t->cred = &init_cred;
    t->process = NULL;
    task_put(t);
}

void task_first_run(void *arg)
{
    struct task *t = arg;

    sched_finish_switch();
    if (t->kernel_thread) {
        t->kthread_fn(t->kthread_arg);
        if (t->kernel_thread)
            task_exit(0);
    } else if (t->set_child_tid) {
        put_user(pid_nr(t->pid, current_pid_ns()), t->set_child_tid);
    }
    return_to_user(t->tf);
    enter_user(t->tf);
}

static void set_default_rlimits(struct process *p)
{
    for (int i = 0; i < RLIM_NLIMITS; i++)
        p->rlimits[i] = (struct rlimit64){RLIM64_INFINITY, RLIM64_INFINITY};
    p->rlimits[RLIMIT_STACK].rlim_cur = 8 << 20;
    p->rlimits[RLIMIT_CORE].rlim_cur = 0;
    p->rlimits[RLIMIT_NOFILE] = (struct rlimit64){1024, 4096};
    p->rlimits[RLIMIT_MEMLOCK] = (struct rlimit64){8 << 20, 8 << 20};
    p->rlimits[RLIMIT_SIGPENDING] = (struct rlimit64){4096, 4096};
    p->rlimits[RLIMIT_MSGQUEUE] = (struct rlimit64){819200, 819200};
    p->rlimits[RLIMIT_NICE] = p->rlimits[RLIMIT_RTPRIO] = (struct rlimit64){0, 0};
}

struct task *kthread_create(const char *name, void (*fn)(void *), void *arg)
{
    struct task *t = task_alloc();
    struct process *p = process_alloc();

    if (!t || !p)
        goto fail;
    t->process = p;
    p->leader = t;
    p->sighand = sighand_create();
    struct pid *pid = pid_alloc(&init_pid_ns);
    if (!p->sighand || IS_ERR(pid))
        goto fail;
    t->pid = pid;
    p->pid = pid_get(pid);
    pid->process = p;
    if (pid_nr(pid, &init_pid_ns) == 1)
        init_pid_ns.init = p;
    t->cred = cred_get(&init_cred);
    t->nsset = nsset_get(&init_nsset);
    t->cgroup = cgroup_get(&cgroup_root);
    cgroup_charge_pids(t->cgroup, 1);
    if (task_file_ops && task_file_ops->clone(NULL, t, 0))
        goto fail;
    set_default_rlimits(p);
    strlcpy(t->comm, name, sizeof(t->comm));
    t->kernel_thread = true;
    t->kthread_fn = fn;
    t->kthread_arg = arg;
    pgrp_enter(p, pgrp_get(&init_pgrp));
    task_publish(t);
    sched_wake(t);
    return t;
fail:
    if (p && (!t || t->process != p))
        process_put(p);
    if (t)
        task_abandon(t);
    return NULL;
}

int process_ppid(const struct process *p, const struct pid_ns *ns)
{
    return p->parent ? pid_nr(p->parent->pid, ns) : 0;
}

void process_times(struct process *p, u64 *user_ns, u64 *system_ns)
{
    struct task *t;

    sched_account_now();
    *user_ns = p->utime_ns;
    *system_ns = p->stime_ns;
    list_for_each (t, &p->threads, thread_link) {
        *user_ns += t->utime_ns;
        *system_ns += t->stime_ns;
    }
}

struct aspace *process_aspace(struct process *p)
{
    struct task *t;

    list_for_each (t, &p->threads, thread_link) {
        if (t->aspace)
            return t->aspace;
    }
    return NULL;
}

static void move_task(struct task *t, struct cgroup *to)
{
    struct cgroup *from = t->cgroup;
    bool runnable = t->counted;

    sched_count_runnable(t, false);
    // If it runs it accounts to the new group from here on: its CPU looks again at what it may do.
    if (t->running)
        sched_kick(t);
    cgroup_count_task(to, 1);
    list_remove(&t->cgroup_link);
    list_append(&to->tasks, &t->cgroup_link);
    t->cgroup = cgroup_get(to);
    sched_count_runnable(t, runnable);
    cgroup_uncharge_pids(from, 1);
    cgroup_count_task(from, -1);
    cgroup_put(from);
    sched_cgroup_changed(t);
}

int process_move_cgroup(struct process *p, struct cgroup *cg)
{
    struct task *t;

    if (cg->removed)
        return -ENODEV;
    if (!p->thread_count)
        return -ESRCH;
    if (process_aspace(p))
        aspace_set_cgroup(process_aspace(p), cg);
    list_for_each (t, &p->threads, thread_link) {
        if (t->cgroup == cg)
            continue;
        cgroup_force_charge_pids(cg, 1);
        move_task(t, cg);
    }
    return 0;
}

void cgroup_kill_tasks(struct cgroup *cg)
{
    siginfo_t info = {.si_signo = SIGKILL, .si_code = SI_KERNEL};
    struct task *t, *tmp;

    for (struct cgroup *pos = cg; pos; pos = cgroup_next(pos, cg)) {
        list_for_each_safe (t, tmp, &pos->tasks, cgroup_link)
            signal_send_process(t->process, SIGKILL, &info);
    }
}

void task_init(void)
{
    ns_init();
    sched_init();
    oom_init();
    loadavg_init();
    init_pid.pgrp = &init_pgrp;
    init_pid.session = &init_session;
}
