// The end of threads and processes: giving things back, telling the parent, finding a new one for
// the children, reaping.

#include <asm/siginfo.h>
#include <linux/errno.h>
#include <linux/signal.h>
#include <linux/wait.h>
#include "container/cgroup/cgroup.h"
#include "container/ns/ns.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/futex.h"
#include "kernel/task/sched.h"
#include "kernel/task/sched_internal.h"
#include "kernel/task/task_internal.h"
#include "kernel/task/wait4.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/log.h"

bool is_ns_init(const struct process *p)
{
    return p->pid->numbers[p->pid->level].nr == 1;
}

void wake_to_die(struct task *t)
{
    t->signal_pending = true;
    if (t->state == TASK_SLEEPING || t->state == TASK_STOPPED ||
        (t->state == TASK_UNINTERRUPTIBLE && t->killable))
        sched_wake(t);
    else
        sched_kick(t);
}

static void finish_vfork(struct task *t)
{
    if (!t->vfork_done)
        return;
    t->vfork_done->done = true;
    wake_all(&t->vfork_done->queue);
    t->vfork_done = NULL;
}

// set_tid_address(2): the thread library's join.
static void clear_tid(struct task *t)
{
    u32 __user *tid = (u32 __user *)t->clear_child_tid;

    t->clear_child_tid = NULL;
    if (tid && t->aspace && t->aspace->refs > 1 && !put_user(0, tid))
        futex_wake(tid, 1);
}

static void drop_aspace(struct task *t)
{
    struct aspace *as = t->aspace;

    if (!as)
        return;
    aspace_switch(as, NULL);
    t->aspace = NULL;
    aspace_put(as);
}

// Who takes p's children: its nearest ancestor that asked for it (PR_SET_CHILD_SUBREAPER), else
// init of its pid namespace.
static struct process *find_reaper(struct process *p)
{
    struct pid_ns *ns = p->pid->numbers[p->pid->level].ns;
    struct process *init = ns->init;

    for (struct process *up = p->parent; up && up != init && pid_nr(up->pid, ns); up = up->parent) {
        if (up->is_subreaper && up->thread_count)
            return up;
    }
    if (init && init != p && init->thread_count)
        return init;
    while (ns->parent) { // the namespace's init is gone: up to the next
        ns = ns->parent;
        if (ns->init && ((struct process *)ns->init)->thread_count)
            return ns->init;
    }
    return NULL;
}

static bool has_stopped_member(const struct process_group *g)
{
    struct process *p;

    list_for_each (p, &g->members, pgrp_link) {
        if (p->stopped)
            return true;
    }
    return false;
}

// POSIX: a group that is orphaned now and has stopped members gets SIGHUP and SIGCONT. `parent` was
// what held it.
static void wake_orphaned_group(struct process *p, struct process *parent)
{
    struct process_group *g = p->pgrp;
    siginfo_t info = {.si_signo = SIGHUP, .si_code = SI_KERNEL};

    if (!g || !parent || !parent->pgrp || parent->pgrp == g || parent->pgrp->session != g->session)
        return;
    if (!pgrp_orphaned(g) || !has_stopped_member(g))
        return;
    signal_send_group(g, SIGHUP, &info);
    info.si_signo = SIGCONT;
    signal_send_group(g, SIGCONT, &info);
}

// PR_SET_PDEATHSIG, of each thread.
static void send_parent_death(struct process *c)
{
    siginfo_t info = {.si_code = SI_KERNEL};
    struct task *t;

    list_for_each (t, &c->threads, thread_link) {
        if (t->parent_death_signal)
            signal_send_process(c, t->parent_death_signal, &info);
    }
}

static void give_children_away(struct process *p)
{
    struct process *c, *tmp, *reaper = find_reaper(p);

    list_for_each_safe (c, tmp, &p->children, sibling) {
        list_remove(&c->sibling);
        c->parent = reaper;
        c->exit_signal = SIGCHLD;
        if (reaper)
            list_append(&reaper->children, &c->sibling);
        wake_orphaned_group(c, p);
        send_parent_death(c);
        if (!c->zombie)
            continue;
        if (!reaper || parent_ignores_children(c))
            process_reap(c);
        else
            notify_parent(c, c->exit_status & 0x7f ? CLD_KILLED : CLD_EXITED, c->exit_status);
    }
}

// The end of pid 1 ends its whole pid namespace: pid_namespaces(7). Sleeps until its children are
// gone.
static void end_pid_namespace(struct process *p)
{
    struct pid_ns *ns = p->pid->numbers[p->pid->level].ns;
    struct wait_request any = {.which = P_ALL, .options = WEXITED | __WALL};
    struct wait_result res;
    siginfo_t info = {.si_signo = SIGKILL, .si_code = SI_KERNEL};

    if (ns == &init_pid_ns)
        panic("init has ended with status 0x%x", p->exit_status);
    ns->dying = true;
    for (struct pid *pid = pid_next(ns, 2); pid; pid = pid_next(ns, pid_nr(pid, ns) + 1)) {
        if (pid->process && pid->process != p)
            signal_send_process(pid->process, SIGKILL, &info);
    }
    while (wait_for_child(&any, &res) != -ECHILD)
        ;
    ns->init = NULL;
}

static void leave_session(struct process *p)
{
    struct session *s = p->pgrp ? p->pgrp->session : NULL;

    if (!s || s->leader != p)
        return;
    if (s->leader_exit)
        s->leader_exit(s);
    s->leader = NULL;
}

// The last thread has gone: p is a zombie until its parent has looked.
static void process_end(struct process *p)
{
    int status = p->exit_status;

    itimer_free(p);
    leave_session(p);
    p->zombie = true;
    p->stopped = false;
    give_children_away(p);
    wake_orphaned_group(p, p->parent);
    if (!p->parent) {
        process_reap(p);
        return;
    }
    bool reap = parent_ignores_children(p);
    notify_parent(p, status & 0x7f ? CLD_KILLED : CLD_EXITED, status);
    if (reap)
        process_reap(p);
}

void process_reap(struct process *p)
{
    list_remove(&p->sibling);
    p->parent = NULL;
    pgrp_leave(p);
    p->pid->process = NULL;
    sigqueue_flush(&p->pending, UINT64_MAX);
    task_release(p->leader);
    p->leader = NULL;
    sighand_put(p->sighand);
    pid_put(p->pid);
    process_put(p);
}

static void account_end(struct task *t, struct process *p)
{
    sched_account_now();
    p->utime_ns += t->utime_ns;
    p->stime_ns += t->stime_ns;
    p->minflt_gone += t->minor_faults;
    p->syscalls_gone += t->syscalls;
}

// Takes the thread out of its process and its cgroup's population. A leader stays allocated until
// its process is reaped.
static void leave_process(struct task *t, struct process *p)
{
    account_end(t, p);
    list_remove(&t->thread_link);
    p->thread_count--;
    list_remove(&t->cgroup_link);
    cgroup_count_task(t->cgroup, -1);
    if (t == p->leader && !p->group_exit)
        p->exit_status = t->exit_code;
    wake_all(&p->child_wait); // exec_kill_threads, and a stop that waits for all threads
    if (t != p->leader)
        task_release(t);
    if (!p->thread_count)
        process_end(p);
}

void task_exit(int wait_status)
{
    struct task *t = current();
    struct process *p = t->process;

    t->exit_code = wait_status;
    t->exiting = true;
    if (p->thread_count == 1) {
        if (!p->group_exit)
            p->exit_status = wait_status;
        if (is_ns_init(p))
            end_pid_namespace(p);
        p->group_exit = true;
    }
    if (t->aspace) {
        futex_exit_robust_list();
        clear_tid(t);
    }
    if (task_file_ops && (t->files || t->fs))
        task_file_ops->exit(t);
    drop_aspace(t);
    finish_vfork(t);
    nsset_put(t->nsset);
    t->nsset = NULL;
    t->state = TASK_ZOMBIE;
    leave_process(t, p);
    schedule();
    panic("an ended task runs");
}

void process_exit(int wait_status)
{
    struct process *p = current()->process;
    struct task *t;

    if (!p->group_exit) {
        p->group_exit = true;
        p->exit_status = wait_status;
        list_for_each (t, &p->threads, thread_link) {
            if (t != current())
                wake_to_die(t);
        }
    }
    task_exit(p->exit_status);
}

// Makes current the leader: it takes over the pid of the old one, which has ended.
static void become_leader(struct process *p)
{
    struct task *me = current(), *old = p->leader;
    struct pid *mine = me->pid;

    me->pid = old->pid;
    old->pid = mine;
    me->pid->task = me;
    mine->task = NULL;
    p->leader = me;
    task_release(old);
}

int exec_kill_threads(void)
{
    struct task *me = current(), *t;
    struct process *p = me->process;

    if (p->group_exit || me->must_exit)
        return -EAGAIN;
    list_for_each (t, &p->threads, thread_link) {
        if (t == me)
            continue;
        t->must_exit = true;
        wake_to_die(t);
    }
    while (p->thread_count > 1) {
        if (wait_sleep_killable(&p->child_wait, WAIT_FOREVER) && fatal_signal_pending())
            return -EAGAIN;
    }
    if (p->leader != me)
        become_leader(p);
    return 0;
}

// Handlers of the old program are gone; what was ignored stays ignored: execve(2).
static void reset_signals(struct task *t)
{
    struct process *p = t->process;
    struct sighand *s = p->sighand;

    for (int i = 0; i < NSIG_K; i++) {
        u64 handler = s->action[i].handler;
        s->action[i] =
            (struct ksigaction){.handler = handler == (u64)SIG_IGN ? handler : (u64)SIG_DFL};
    }
    t->altstack_sp = t->altstack_size = 0;
    t->altstack_flags = SS_DISABLE;
}

int exec_unshare_signals(void)
{
    struct process *p = current()->process;
    struct sighand *s;

    if (p->sighand->refs == 1)
        return 0;
    s = sighand_create();
    if (!s)
        return -ENOMEM;
    memcpy(s->action, p->sighand->action, sizeof(s->action));
    sighand_put(p->sighand);
    p->sighand = s;
    return 0;
}

void exec_done(const char *comm)
{
    struct task *t = current();

    finish_vfork(t);
    reset_signals(t);
    if (task_file_ops)
        task_file_ops->exec(t);
    t->process->did_exec = true;
    // A new program keeps none of the old one's secrets (prctl(2), PR_SET_DUMPABLE).
    t->process->dumpable = t->cred->euid == t->cred->uid && t->cred->egid == t->cred->gid;
    t->process->exit_signal = SIGCHLD;
    t->kernel_thread = false;
    t->clear_child_tid = NULL;
    t->robust_list = NULL;
    t->fs_base = t->gs_base = 0;
    wrmsr(MSR_FS_BASE, 0);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    fpu_state_init(t->fpu);
    fpu_restore(t->fpu);
    strlcpy(t->comm, comm, sizeof(t->comm));
}
