// System calls about signals.

#include <asm/signal.h>
#include <linux/signal.h>
#include <linux/time.h>
#include "container/ns/ns.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/itimer.h"
#include "kernel/task/sigframe.h"
#include "kernel/task/sigset.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"

#define MINSIGSTKSZ_K 2048
static_assert(sizeof(struct ksigaction) == 32, "the ABI's struct sigaction");

static siginfo_t info_from_current(int sig, int code)
{
    siginfo_t info = {.si_signo = sig, .si_code = code};

    info.si_pid = pid_nr(current()->process->pid, current_pid_ns());
    info.si_uid = current()->cred->uid;
    return info;
}

static long kill_one(struct process *p, int sig)
{
    siginfo_t info = info_from_current(sig, SI_USER);

    if (!signal_may_send(p, sig))
        return -EPERM;
    return sig ? signal_send_process(p, sig, &info) : 0;
}

static long kill_group(struct process_group *g, int sig)
{
    struct process *p, *tmp;
    long err = -ESRCH;
    bool sent = false;

    list_for_each_safe (p, tmp, &g->members, pgrp_link) {
        err = kill_one(p, sig);
        sent |= !err;
    }
    return sent ? 0 : err;
}

// kill(-1): everybody the caller can see and may signal, but init and the caller's own process.
static long kill_all(int sig)
{
    struct pid_ns *ns = current_pid_ns();
    long err = -ESRCH;
    bool sent = false;

    for (struct pid *pid = pid_next(ns, 2); pid; pid = pid_next(ns, pid_nr(pid, ns) + 1)) {
        struct process *p = pid->process;
        if (!p || p == current()->process || p->leader->kernel_thread)
            continue;
        long e = kill_one(p, sig);
        sent |= !e;
        err = e == -EPERM && err != -ESRCH ? err : e;
    }
    return sent ? 0 : err;
}

long sys_kill(int pid, int sig)
{
    struct pid *g;

    if (sig < 0 || sig > NSIG_K)
        return -EINVAL;
    if (pid > 0) {
        struct process *p = process_find(pid);
        return p ? kill_one(p, sig) : -ESRCH;
    }
    if (pid == -1)
        return kill_all(sig);
    if (pid == 0)
        return kill_group(current()->process->pgrp, sig);
    if (pid == INT32_MIN)
        return -ESRCH;
    g = pid_find(current_pid_ns(), -pid);
    return g && g->pgrp ? kill_group(g->pgrp, sig) : -ESRCH;
}

static long kill_thread(int tgid, int tid, int sig, const siginfo_t *info)
{
    struct task *t = task_find(tid);

    if (tid <= 0 || sig < 0 || sig > NSIG_K)
        return -EINVAL;
    if (!t || !t->process || (tgid && pid_nr(t->process->pid, current_pid_ns()) != tgid))
        return -ESRCH;
    if (!signal_may_send(t->process, sig))
        return -EPERM;
    return sig ? signal_send_task(t, sig, info) : 0;
}

long sys_tkill(int tid, int sig)
{
    siginfo_t info = info_from_current(sig, SI_TKILL);

    return kill_thread(0, tid, sig, &info);
}

long sys_tgkill(int tgid, int tid, int sig)
{
    siginfo_t info = info_from_current(sig, SI_TKILL);

    return tgid <= 0 ? -EINVAL : kill_thread(tgid, tid, sig, &info);
}

// What a program says about a signal itself: it may not pretend to be the kernel or kill(2) to
// others.
static long read_info(siginfo_t *info, const void __user *from, int sig, int pid)
{
    if (copy_from_user(info, from, sizeof(*info)))
        return -EFAULT;
    if ((info->si_code >= 0 || info->si_code == SI_TKILL) && pid != sys_getpid())
        return -EPERM;
    info->si_signo = sig;
    return 0;
}

long sys_rt_sigqueueinfo(int tgid, int sig, const void *uinfo)
{
    struct process *p = process_find(tgid);
    siginfo_t info;
    long err = read_info(&info, uinfo, sig, tgid);

    if (err)
        return err;
    if (sig < 0 || sig > NSIG_K)
        return -EINVAL;
    if (!p)
        return -ESRCH;
    if (!signal_may_send(p, sig))
        return -EPERM;
    return sig ? signal_send_process(p, sig, &info) : 0;
}

long sys_rt_tgsigqueueinfo(int tgid, int tid, int sig, const void *uinfo)
{
    siginfo_t info;
    long err = read_info(&info, uinfo, sig, tgid);

    return err ? err : kill_thread(tgid, tid, sig, &info);
}

long sys_rt_sigaction(int sig, const void *act, void *oldact, size_t sigsetsize)
{
    struct process *p = current()->process;
    struct ksigaction new, old;
    struct task *t;

    if (sigsetsize != sizeof(u64) || sig < 1 || sig > NSIG_K)
        return -EINVAL;
    if (act && (SIGS_UNBLOCKABLE & SIG_BIT(sig)))
        return -EINVAL;
    if (act && copy_from_user(&new, act, sizeof(new)))
        return -EFAULT;
    old = p->sighand->action[sig - 1];
    if (oldact && copy_to_user(oldact, &old, sizeof(old)))
        return -EFAULT;
    if (!act)
        return 0;
    new.mask &= ~SIGS_UNBLOCKABLE;
    p->sighand->action[sig - 1] = new;
    if (signal_ignored(p, sig)) { // what waits is thrown away: POSIX
        sigqueue_flush(&p->pending, SIG_BIT(sig));
        list_for_each (t, &p->threads, thread_link)
            sigqueue_flush(&t->pending, SIG_BIT(sig));
    }
    return 0;
}

long sys_rt_sigprocmask(int how, const u64 *set, u64 *oldset, size_t sigsetsize)
{
    u64 mask, old = current()->blocked;

    if (sigsetsize != sizeof(u64))
        return -EINVAL;
    if (set) {
        if (get_user(mask, set))
            return -EFAULT;
        if (how == SIG_BLOCK)
            mask = old | mask;
        else if (how == SIG_UNBLOCK)
            mask = old & ~mask;
        else if (how != SIG_SETMASK)
            return -EINVAL;
        signal_set_blocked(mask);
    }
    return oldset ? put_user(old, oldset) : 0;
}

long sys_rt_sigpending(u64 *set, size_t sigsetsize)
{
    struct task *t = current();
    u64 pending = (t->pending.set | t->process->pending.set) & t->blocked;

    if (sigsetsize > sizeof(u64))
        return -EINVAL;
    return copy_to_user(set, &pending, sigsetsize);
}

long sys_rt_sigreturn(void)
{
    struct trapframe *tf = current()->tf;

    if (sigframe_pop(tf))
        signal_force(SIGSEGV, SI_KERNEL, 0);
    return tf->rax;
}

long sys_restart_syscall(void)
{
    struct task *t = current();

    return t->restart ? t->restart() : -EINTR;
}

long sys_sigaltstack(const void *ss, void *old_ss)
{
    struct task *t = current();
    bool active = on_altstack(t->tf->rsp);
    stack_t new, old;

    memset(&old, 0, sizeof(old));
    old.ss_sp = (void *)t->altstack_sp;
    old.ss_size = t->altstack_size;
    old.ss_flags =
        !t->altstack_size ? SS_DISABLE : (int)t->altstack_flags | (active ? SS_ONSTACK : 0);
    if (ss) {
        if (copy_from_user(&new, ss, sizeof(new)))
            return -EFAULT;
        int mode = new.ss_flags & ~SS_AUTODISARM;
        if (active)
            return -EPERM;
        if (mode && mode != SS_DISABLE && mode != SS_ONSTACK)
            return -EINVAL;
        if (mode != SS_DISABLE && new.ss_size < MINSIGSTKSZ_K)
            return -ENOMEM;
        t->altstack_sp = mode == SS_DISABLE ? 0 : (u64) new.ss_sp;
        t->altstack_size = mode == SS_DISABLE ? 0 : new.ss_size;
        t->altstack_flags = new.ss_flags &SS_AUTODISARM;
    }
    return old_ss ? copy_to_user(old_ss, &old, sizeof(old)) : 0;
}

// Sleeps until a signal is there to be delivered.
static long sleep_for_signal(void)
{
    struct wait_queue nobody;

    wait_queue_init(&nobody);
    while (!wait_sleep(&nobody, WAIT_FOREVER))
        ;
    return -ERESTARTNOHAND;
}

long sys_pause(void)
{
    return sleep_for_signal();
}

long sys_rt_sigsuspend(const u64 *umask, size_t sigsetsize)
{
    u64 mask;

    if (sigsetsize != sizeof(u64))
        return -EINVAL;
    if (get_user(mask, umask))
        return -EFAULT;
    signal_set_temporary_mask(mask);
    return sleep_for_signal();
}

static long take_signal(u64 set, u64 deadline, siginfo_t *info)
{
    struct task *t = current();
    struct wait_queue nobody;
    u64 blocked = t->blocked;
    long err = 0;
    int sig;

    wait_queue_init(&nobody);
    // While it waits the signals of the set are let through, so that their senders wake it.
    while (!(sig = signal_dequeue(set, info)) && !err) {
        t->awaited = blocked & set;
        signal_set_blocked(blocked & ~set);
        err = wait_sleep(&nobody, deadline);
        signal_set_blocked(blocked);
        t->awaited = 0;
    }
    if (sig)
        return sig;
    return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
}

long sys_rt_sigtimedwait(const u64 *uset, void *uinfo, const void *timeout, size_t sigsetsize)
{
    struct __kernel_timespec ts;
    u64 set, deadline = WAIT_FOREVER;
    siginfo_t info;

    if (sigsetsize != sizeof(u64))
        return -EINVAL;
    if (get_user(set, uset) || (timeout && copy_from_user(&ts, timeout, sizeof(ts))))
        return -EFAULT;
    if (timeout) {
        if (ts.tv_sec < 0 || (u64)ts.tv_nsec >= NSEC_PER_SEC)
            return -EINVAL;
        deadline = clock_ns() + ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
    }
    long sig = take_signal(set & ~SIGS_UNBLOCKABLE, deadline, &info);
    if (sig > 0 && uinfo && copy_to_user(uinfo, &info, sizeof(info)))
        return -EFAULT;
    return sig;
}

static struct __kernel_old_timeval to_timeval(u64 ns)
{
    return (struct __kernel_old_timeval){ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / NSEC_PER_USEC};
}

static bool from_timeval(const struct __kernel_old_timeval *tv, u64 *ns)
{
    if (tv->tv_sec < 0 || (u64)tv->tv_usec >= 1000000 ||
        (u64)tv->tv_sec > WAIT_FOREVER / NSEC_PER_SEC / 4)
        return false;
    *ns = tv->tv_sec * NSEC_PER_SEC + tv->tv_usec * NSEC_PER_USEC;
    return true;
}

long sys_getitimer(int which, void *value)
{
    u64 left, interval;
    int err = itimer_get(which, &left, &interval);

    if (err)
        return err;
    struct __kernel_old_itimerval iv = {to_timeval(interval), to_timeval(left)};
    return copy_to_user(value, &iv, sizeof(iv));
}

long sys_setitimer(int which, const void *new_value, void *old_value)
{
    struct __kernel_old_itimerval iv = {};
    u64 value, interval;

    if (new_value && copy_from_user(&iv, new_value, sizeof(iv)))
        return -EFAULT;
    if (!from_timeval(&iv.it_value, &value) || !from_timeval(&iv.it_interval, &interval))
        return -EINVAL;
    if (old_value) {
        long err = sys_getitimer(which, old_value);
        if (err)
            return err;
    }
    return itimer_set(which, value, interval);
}

long sys_alarm(u32 seconds)
{
    u64 left, interval;

    itimer_get(ITIMER_REAL, &left, &interval);
    itimer_set(ITIMER_REAL, seconds * NSEC_PER_SEC, 0);
    return left ? max(1UL, (left + NSEC_PER_SEC / 2) / NSEC_PER_SEC) : 0;
}
