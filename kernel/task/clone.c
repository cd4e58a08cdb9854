// clone(2): a new thread, or a new process with one. What is shared and what is copied is decided
// by CLONE_* flags; the child starts on its own kernel stack with the parent's user registers and
// rax 0.

#include <linux/sched.h>
#include "container/cgroup/cgroup.h"
#include "container/ns/ns.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/sched.h"
#include "kernel/task/task_internal.h"

#define CLONE_NEW_ANY                                                                              \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWCGROUP |  \
     CLONE_NEWNET)

static int check_flags(u64 flags)
{
    if (flags & (CLONE_NEWTIME | CLONE_PIDFD | CLONE_PTRACE))
        return -EINVAL;
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
        return -EINVAL;
    if ((flags & (CLONE_NEWNS | CLONE_NEWUSER)) && (flags & CLONE_FS))
        return -EINVAL;
    if ((flags & (CLONE_THREAD | CLONE_PARENT)) && (flags & (CLONE_NEWPID | CLONE_NEWUSER)))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && (flags & CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_PARENT) && is_ns_init(current()->process))
        return -EINVAL;
    // A thread lives in the pid namespace of its process.
    if ((flags & CLONE_THREAD) && current()->nsset->pid_for_children != &current_pid_ns()->ns)
        return -EINVAL;
    return 0;
}

// RLIMIT_NPROC counts all threads of the real user; root is exempt.
static int check_nproc(void)
{
    struct cred *cred = current()->cred;
    u64 limit = current()->process->rlimits[RLIMIT_NPROC].rlim_cur, n = 0;
    struct task *t;

    if (limit == RLIM64_INFINITY || !cred->uid || capable(CAP_SYS_RESOURCE) ||
        capable(CAP_SYS_ADMIN))
        return 0;
    list_for_each (t, &all_tasks, all_link)
        n += t->cred->uid == cred->uid;
    return n >= limit ? -EAGAIN : 0;
}

static int copy_cred(struct task *child, u64 flags)
{
    struct cred *old = current()->cred;

    if (!(flags & CLONE_NEWUSER)) {
        child->cred = cred_get(old);
        return 0;
    }
    child->cred = cred_in_new_user_ns(old);
    if (IS_ERR(child->cred)) {
        int err = PTR_ERR(child->cred);
        child->cred = NULL;
        return err;
    }
    return 0;
}

// Namespaces: the parent's set is shared unless the child needs a new one of any kind, or lives in
// another pid namespace.
static int copy_namespaces(struct task *child, u64 flags)
{
    struct nsset *old = current()->nsset, *set;
    bool fresh = flags & CLONE_NEW_ANY;

    if (fresh && !ns_capable(child->cred->user_ns, CAP_SYS_ADMIN))
        return -EPERM;
    if (!fresh && ((flags & CLONE_THREAD) || old->pid_for_children == old->ns[NS_PID])) {
        child->nsset = nsset_get(old);
        return 0;
    }
    set = nsset_clone(old, flags, child->cred->user_ns, child->cgroup);
    if (IS_ERR(set))
        return PTR_ERR(set);
    ns_put(set->ns[NS_PID]);
    set->ns[NS_PID] = ns_get(set->pid_for_children);
    child->nsset = set;
    return 0;
}

static int copy_aspace(struct task *child, u64 flags)
{
    struct aspace *as = current()->aspace;

    if (!(flags & CLONE_VM))
        as = aspace_fork(as, child->cgroup);
    else
        aspace_get(as);
    if (IS_ERR(as))
        return PTR_ERR(as);
    child->aspace = as;
    return 0;
}

static int copy_sighand(struct process *p, u64 flags)
{
    struct sighand *old = current()->process->sighand;

    if (flags & CLONE_SIGHAND) {
        p->sighand = old;
        old->refs++;
        return 0;
    }
    p->sighand = sighand_create();
    if (!p->sighand)
        return -ENOMEM;
    for (int i = 0; i < NSIG_K; i++) {
        bool ignored = old->action[i].handler == (u64)SIG_IGN;
        if (!(flags & CLONE_CLEAR_SIGHAND) || ignored)
            p->sighand->action[i] = old->action[i];
    }
    return 0;
}

static int new_process(struct task *child, const struct clone_args_k *args)
{
    struct process *me = current()->process, *p = process_alloc();

    if (!p)
        return -ENOMEM;
    child->process = p;
    p->leader = child;
    p->exit_signal = args->exit_signal;
    memcpy(p->rlimits, me->rlimits, sizeof(p->rlimits));
    p->oom_score_adj = me->oom_score_adj;
    p->dumpable = me->dumpable;
    return copy_sighand(p, args->flags);
}

// Everything of the child that the task itself keeps by value.
static void copy_thread(struct task *child, const struct clone_args_k *args)
{
    struct task *me = current();

    *child->tf = *me->tf;
    child->tf->rax = 0;
    if (args->stack)
        child->tf->rsp = args->stack;
    fpu_save(me->fpu);
    memcpy(child->fpu, me->fpu, fpu_state_size());
    child->fs_base = args->flags & CLONE_SETTLS ? args->tls : me->fs_base;
    child->gs_base = me->gs_base;
    memcpy(child->comm, me->comm, sizeof(child->comm));
    child->nice = me->nice;
    child->affinity = me->affinity;
    child->vruntime = me->vruntime;
    child->cpu = me->cpu;
    child->blocked = me->blocked;
    if (!(args->flags & CLONE_VM) || (args->flags & CLONE_VFORK)) {
        child->altstack_sp = me->altstack_sp;
        child->altstack_size = me->altstack_size;
        child->altstack_flags = me->altstack_flags;
    }
    child->set_child_tid = args->flags & CLONE_CHILD_SETTID ? args->child_tid : NULL;
    child->clear_child_tid = args->flags & CLONE_CHILD_CLEARTID ? args->child_tid : NULL;
}

// Fills the child in; on error the caller abandons what is there.
static int build_child(struct task *child, const struct clone_args_k *args)
{
    struct cgroup *cg = args->cgroup ? args->cgroup : current()->cgroup;
    int err = cgroup_charge_pids(cg, 1);

    if (err)
        return err;
    child->cgroup = cgroup_get(cg);
    if ((err = copy_cred(child, args->flags)))
        return err;
    if (!(args->flags & CLONE_THREAD) && (err = new_process(child, args)))
        return err;
    if ((err = copy_namespaces(child, args->flags)))
        return err;
    if (task_file_ops && (err = task_file_ops->clone(current(), child, args->flags)))
        return err;
    if ((err = copy_aspace(child, args->flags)))
        return err;
    copy_thread(child, args);
    // aspace_fork and clone may have let others run: who is to die makes no children.
    if (fatal_signal_pending())
        return -EINTR;
    if (cg->removed)
        return -ENODEV;
    struct pid *pid = pid_alloc(container_of(child->nsset->ns[NS_PID], struct pid_ns, ns));
    if (IS_ERR(pid))
        return PTR_ERR(pid);
    child->pid = pid;
    return 0;
}

static void adopt(struct process *p, struct process *parent)
{
    p->parent = parent;
    list_append(&parent->children, &p->sibling);
}

// Puts the complete child into the family.
static void link_child(struct task *child, const struct clone_args_k *args)
{
    struct process *me = current()->process, *p = child->process;

    if (args->flags & CLONE_THREAD) {
        child->process = me;
    } else {
        p->pid = pid_get(child->pid);
        p->pid->process = p;
        adopt(p, (args->flags & CLONE_PARENT) && me->parent ? me->parent : me);
        if (args->flags & CLONE_PARENT)
            p->exit_signal = me->exit_signal;
        pgrp_enter(p, pgrp_get(me->pgrp));
        struct pid_ns *ns = p->pid->numbers[p->pid->level].ns;
        if (pid_nr(p->pid, ns) == 1)
            ns->init = p;
    }
    task_publish(child);
    signal_recalc(child); // the process may have been stopped meanwhile
}

// vfork: waits until the child has a program of its own or ended; a killed parent does not wait on.
static void wait_for_vfork(struct task *child, struct completion *done)
{
    while (!done->done) {
        if (wait_sleep_killable(&done->queue, WAIT_FOREVER) && fatal_signal_pending())
            break;
    }
    if (child->vfork_done == done)
        child->vfork_done = NULL;
}

long task_clone(const struct clone_args_k *args)
{
    struct completion done = {.done = false};
    int err = check_flags(args->flags);

    if (!err)
        err = check_nproc();
    if (err)
        return err;
    struct task *child = task_alloc();
    if (!child)
        return -ENOMEM;
    err = build_child(child, args);
    if (err) {
        task_abandon(child);
        return err;
    }
    long nr = pid_nr(child->pid, current_pid_ns());
    if (args->flags & CLONE_PARENT_SETTID)
        put_user((int)nr, args->parent_tid); // as in Linux the child is made even if this fails
    link_child(child, args);
    wait_queue_init(&done.queue);
    if (args->flags & CLONE_VFORK)
        child->vfork_done = &done;
    task_get(child);
    sched_wake(child);
    if (args->flags & CLONE_VFORK)
        wait_for_vfork(child, &done);
    task_put(child);
    return nr;
}
