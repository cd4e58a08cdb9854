// System calls about limits, usage, priorities and CPUs.

#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include "container/ns/ns.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/sched.h"
#include "kernel/task/task.h"
#include "kernel/task/wait4.h"
#include "kernel/x86/percpu.h"

static_assert(sizeof(struct rusage) == 144, "the ABI's struct rusage");

static bool may_limit(const struct process *p)
{
    const struct cred *me = current()->cred, *him = p->leader->cred;

    return p == current()->process || ns_capable(him->user_ns, CAP_SYS_RESOURCE) ||
           (me->uid == him->uid && me->uid == him->euid && me->uid == him->suid &&
            me->gid == him->gid && me->gid == him->egid && me->gid == him->sgid);
}

static long set_limit(struct process *p, int resource, const struct rlimit64 *new)
{
    struct rlimit64 *old = &p->rlimits[resource];

    if (new->rlim_cur > new->rlim_max)
        return -EINVAL;
    if (new->rlim_max > old->rlim_max && !capable(CAP_SYS_RESOURCE))
        return -EPERM;
    *old = *new;
    struct aspace *as = process_aspace(p);
    if (as && resource == RLIMIT_STACK)
        as->stack_limit = new->rlim_cur;
    if (as && resource == RLIMIT_AS)
        as->size_limit = new->rlim_cur;
    return 0;
}

long sys_prlimit64(int pid, int resource, const void *new_rlim, void *old_rlim)
{
    struct process *p = pid ? process_find(pid) : current()->process;
    struct rlimit64 new, old;

    if (resource < 0 || resource >= RLIM_NLIMITS)
        return -EINVAL;
    if (!p)
        return -ESRCH;
    if (!may_limit(p))
        return -EPERM;
    if (new_rlim && copy_from_user(&new, new_rlim, sizeof(new)))
        return -EFAULT;
    old = p->rlimits[resource];
    if (new_rlim) {
        long err = set_limit(p, resource, &new);
        if (err)
            return err;
    }
    return old_rlim && copy_to_user(old_rlim, &old, sizeof(old)) ? -EFAULT : 0;
}

long sys_getrlimit(int resource, void *rlim)
{
    return sys_prlimit64(0, resource, NULL, rlim);
}

long sys_setrlimit(int resource, const void *rlim)
{
    return sys_prlimit64(0, resource, rlim, NULL);
}

long sys_getrusage(int who, void *usage)
{
    struct rusage ru;

    if (who == RUSAGE_SELF)
        process_rusage(current()->process, &ru);
    else if (who == RUSAGE_CHILDREN)
        children_rusage(current()->process, &ru);
    else if (who == RUSAGE_THREAD)
        task_rusage(current(), &ru);
    else
        return -EINVAL;
    return copy_to_user(usage, &ru, sizeof(ru));
}

// Calls visit for each process that getpriority(2)'s `which` and `who` name; -ESRCH if there is
// none.
static long each_process(int which, int who, long (*visit)(struct process *p, void *arg), void *arg)
{
    struct process *me = current()->process;
    struct task *t;
    long err = -ESRCH;

    list_for_each (t, &all_tasks, all_link) {
        struct process *p = t->process;
        if (t != p->leader || !pid_nr(p->pid, current_pid_ns()))
            continue;
        bool match = false;
        if (which == PRIO_PROCESS)
            match = who ? process_find(who) == p : p == me;
        else if (which == PRIO_PGRP)
            match = who ? pid_nr(p->pgrp->pid, current_pid_ns()) == who : p->pgrp == me->pgrp;
        else if (which == PRIO_USER)
            match = t->cred->uid == (who ? (u32)who : current()->cred->uid);
        if (!match)
            continue;
        long e = visit(p, arg);
        if (e || err == -ESRCH)
            err = e;
    }
    return err;
}

static long highest_priority(struct process *p, void *arg)
{
    int *least = arg;

    *least = min(*least, p->leader->nice);
    return 0;
}

long sys_getpriority(int which, int who)
{
    int nice = 20;

    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    long err = each_process(which, who, highest_priority, &nice);
    return err ? err : 20 - nice; // 40..1, so that it is no error
}

static long set_nice(struct process *p, void *arg)
{
    const struct cred *me = current()->cred, *him = p->leader->cred;
    int nice = *(int *)arg;
    struct task *t;

    if (me->euid != him->uid && me->euid != him->euid && !ns_capable(him->user_ns, CAP_SYS_NICE))
        return -EPERM;
    if (nice < p->leader->nice && !capable(CAP_SYS_NICE))
        return -EACCES;
    list_for_each (t, &p->threads, thread_link)
        sched_set_nice(t, nice);
    return 0;
}

long sys_setpriority(int which, int who, int prio)
{
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    return each_process(which, who, set_nice, &prio);
}

long sys_sched_yield(void)
{
    sched_yield_current();
    return 0;
}

long sys_sched_setaffinity(int pid, size_t len, const u64 *umask)
{
    struct task *t = pid ? task_find(pid) : current();
    u64 mask = 0;

    if (!t || !t->process)
        return -ESRCH;
    if (copy_from_user(&mask, umask, min(len, sizeof(mask))))
        return -EFAULT;
    mask &= BIT(cpu_count()) - 1;
    if (!mask)
        return -EINVAL;
    if (t->process != current()->process && !signal_may_send(t->process, 0))
        return -EPERM;
    sched_set_affinity(t, mask);
    return 0;
}

long sys_sched_getaffinity(int pid, size_t len, u64 *umask)
{
    struct task *t = pid ? task_find(pid) : current();

    if (!t)
        return -ESRCH;
    if (len < sizeof(u64) || len % sizeof(u64))
        return -EINVAL;
    u64 mask = t->affinity & (BIT(cpu_count()) - 1);
    return put_user(mask, umask) ? -EFAULT : (long)sizeof(mask);
}

// Of Linux's policies there are those without fixed priorities; they are one and the same here.
static bool is_fair(int policy)
{
    return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

long sys_sched_getscheduler(int pid)
{
    return pid && !task_find(pid) ? -ESRCH : SCHED_NORMAL;
}

long sys_sched_getparam(int pid, int *param)
{
    return pid && !task_find(pid) ? -ESRCH : put_user(0, param);
}

long sys_sched_setscheduler(int pid, int policy, const int *param)
{
    int priority;

    if (pid && !task_find(pid))
        return -ESRCH;
    if (get_user(priority, param))
        return -EFAULT;
    return is_fair(policy) && !priority ? 0 : -EINVAL;
}

long sys_sched_get_priority_max(int policy)
{
    return is_fair(policy) ? 0 : -EINVAL;
}

long sys_sched_get_priority_min(int policy)
{
    return is_fair(policy) ? 0 : -EINVAL;
}

long sys_getcpu(u32 *cpu, u32 *node, void *cache)
{
    if (cpu && put_user(this_cpu()->id, cpu))
        return -EFAULT;
    return node ? put_user(0, node) : 0;
}

static long set_name(const char __user *from)
{
    char name[sizeof(current()->comm)] = "";
    long n = strncpy_from_user(name, from, sizeof(name));

    if (n < 0 && n != -ENAMETOOLONG)
        return n;
    name[sizeof(name) - 1] = 0;
    strlcpy(current()->comm, name, sizeof(name));
    return 0;
}

static long change_cred(void (*change)(struct cred *c, u64 arg), u64 arg)
{
    struct cred *c = cred_copy(current()->cred);

    if (!c)
        return -ENOMEM;
    change(c, arg);
    cred_put(current()->cred);
    current()->cred = c;
    return 0;
}

static void set_no_new_privs(struct cred *c, u64 arg)
{
    c->no_new_privs = true;
}

static void set_keep_caps(struct cred *c, u64 arg)
{
    c->keep_caps = arg;
}

static void drop_bounding(struct cred *c, u64 cap)
{
    c->cap_bounding &= ~BIT(cap);
}

static void set_ambient(struct cred *c, u64 bits)
{
    c->cap_ambient = bits;
}

static void set_securebits(struct cred *c, u64 bits)
{
    c->securebits = bits;
}

static long prctl_ambient(u64 op, u64 cap)
{
    const struct cred *c = current()->cred;

    if (op == PR_CAP_AMBIENT_CLEAR_ALL)
        return change_cred(set_ambient, 0);
    if (cap > CAP_LAST_CAP)
        return -EINVAL;
    switch (op) {
    case PR_CAP_AMBIENT_IS_SET:
        return !!(c->cap_ambient & BIT(cap));
    case PR_CAP_AMBIENT_LOWER:
        return change_cred(set_ambient, c->cap_ambient & ~BIT(cap));
    case PR_CAP_AMBIENT_RAISE:
        if (!(c->cap_permitted & c->cap_inheritable & BIT(cap)))
            return -EPERM;
        return change_cred(set_ambient, c->cap_ambient | BIT(cap));
    default:
        return -EINVAL;
    }
}

static long prctl_caps(int option, u64 arg)
{
    const struct cred *c = current()->cred;

    switch (option) {
    case PR_CAPBSET_READ:
        return arg > CAP_LAST_CAP ? -EINVAL : !!(c->cap_bounding & BIT(arg));
    case PR_CAPBSET_DROP:
        if (!ns_capable(c->user_ns, CAP_SETPCAP))
            return -EPERM;
        return arg > CAP_LAST_CAP ? -EINVAL : change_cred(drop_bounding, arg);
    case PR_GET_SECUREBITS:
        return c->securebits;
    case PR_SET_SECUREBITS:
        return ns_capable(c->user_ns, CAP_SETPCAP) ? change_cred(set_securebits, arg) : -EPERM;
    case PR_SET_KEEPCAPS:
        return arg > 1 ? -EINVAL : change_cred(set_keep_caps, arg);
    case PR_GET_KEEPCAPS:
        return c->keep_caps;
    case PR_SET_NO_NEW_PRIVS:
        return arg == 1 ? change_cred(set_no_new_privs, 1) : -EINVAL;
    case PR_GET_NO_NEW_PRIVS:
        return c->no_new_privs;
    default:
        return -EINVAL;
    }
}

long sys_prctl(int option, u64 arg2, u64 arg3, u64 arg4, u64 arg5)
{
    struct task *t = current();

    switch (option) {
    case PR_SET_NAME:
        return set_name((const char __user *)arg2);
    case PR_GET_NAME:
        return copy_to_user((void __user *)arg2, t->comm, sizeof(t->comm));
    case PR_SET_PDEATHSIG:
        if (arg2 > NSIG_K)
            return -EINVAL;
        t->parent_death_signal = arg2;
        return 0;
    case PR_GET_PDEATHSIG:
        return put_user((int)t->parent_death_signal, (int __user *)arg2);
    case PR_SET_DUMPABLE:
        if (arg2 > 1)
            return -EINVAL;
        t->process->dumpable = arg2;
        return 0;
    case PR_GET_DUMPABLE:
        return t->process->dumpable;
    case PR_SET_CHILD_SUBREAPER:
        t->process->is_subreaper = arg2;
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return put_user((int)t->process->is_subreaper, (int __user *)arg2);
    case PR_CAP_AMBIENT:
        return prctl_ambient(arg2, arg3);
    case PR_GET_SECCOMP:
        return SECCOMP_MODE_DISABLED;
    default:
        return prctl_caps(option, arg2);
    }
}

// As a Linux that is built without filters.
long sys_seccomp(u32 op, u32 flags, void *args)
{
    return -EINVAL;
}
