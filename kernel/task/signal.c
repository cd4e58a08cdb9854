// Generating signals: who gets one, when it is dropped at once, and what SIGCONT, the stop signals
// and SIGKILL do right when they are sent. Delivery is in deliver.c. signal(7), kill(2).

#include "kernel/task/signal.h"
#include <linux/errno.h>
#include "container/ns/ns.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/task/sched.h"
#include "kernel/task/sigset.h"
#include "kernel/task/task_internal.h"

struct wait_queue signal_kept = {LIST_INIT(signal_kept.waiters)};

#define QUEUE_MAX 4096 // real-time signals in one queue: RLIMIT_SIGPENDING's default

void sigqueue_init(struct sigqueue *q)
{
    q->set = 0;
    list_init(&q->infos);
}

void sigqueue_flush(struct sigqueue *q, u64 mask)
{
    struct sigqueue_entry *e, *tmp;

    q->set &= ~mask;
    list_for_each_safe (e, tmp, &q->infos, link) {
        if (!(SIG_BIT(e->info.si_signo) & mask))
            continue;
        list_remove(&e->link);
        kfree(e);
    }
}

static u32 queue_length(const struct sigqueue *q)
{
    struct sigqueue_entry *e;
    u32 n = 0;

    list_for_each (e, &q->infos, link)
        n++;
    return n;
}

static int sigqueue_add(struct sigqueue *q, int sig, const siginfo_t *info)
{
    if (sig < SIGRTMIN && (q->set & SIG_BIT(sig)))
        return 0; // standard signals wait once
    bool full = sig >= SIGRTMIN && queue_length(q) >= QUEUE_MAX;
    struct sigqueue_entry *e = full ? NULL : kmalloc_charged(sizeof(*e));
    if (e) {
        e->info = *info;
        list_append(&q->infos, &e->link);
    } else if (sig >= SIGRTMIN && info->si_code != SI_USER) {
        return -EAGAIN; // sigqueue(3) must not lose its value
    }
    q->set |= SIG_BIT(sig);
    return 0;
}

// Takes the lowest signal of q that is in mask, faults first.
static int sigqueue_take(struct sigqueue *q, u64 mask, siginfo_t *info)
{
    u64 ready = q->set & mask;
    struct sigqueue_entry *e, *found = NULL;

    if (!ready)
        return 0;
    if (ready & SIGS_SYNCHRONOUS)
        ready &= SIGS_SYNCHRONOUS;
    int sig = __builtin_ctzl(ready) + 1;
    bool more = false;
    list_for_each (e, &q->infos, link) {
        if (e->info.si_signo != sig)
            continue;
        if (found) {
            more = true;
            break;
        }
        found = e;
    }
    if (!more)
        q->set &= ~SIG_BIT(sig);
    memset(info, 0, sizeof(*info));
    info->si_signo = sig;
    if (found) {
        *info = found->info;
        list_remove(&found->link);
        kfree(found);
    }
    return sig;
}

int signal_dequeue(u64 mask, siginfo_t *info)
{
    int sig = sigqueue_take(&current()->pending, mask, info);

    return sig ? sig : sigqueue_take(&current()->process->pending, mask, info);
}

struct sighand *sighand_create(void)
{
    struct sighand *s = kzalloc_charged(sizeof(*s));

    if (s)
        s->refs = 1;
    return s;
}

void sighand_put(struct sighand *s)
{
    if (s && --s->refs == 0)
        kfree(s);
}

void signal_recalc(struct task *t)
{
    u64 waiting = t->pending.set | t->process->pending.set;

    t->signal_pending =
        (waiting & ~t->blocked) || t->process->group_exit || t->must_exit || t->process->stopped;
}

bool signal_pending_current(void)
{
    return current()->signal_pending;
}

bool fatal_signal_pending(void)
{
    struct task *t = current();

    return t->must_exit || (t->process && t->process->group_exit);
}

void signal_set_blocked(u64 mask)
{
    struct task *t = current();

    t->blocked = mask & ~SIGS_UNBLOCKABLE;
    signal_recalc(t);
}

void signal_set_temporary_mask(u64 mask)
{
    struct task *t = current();

    t->saved_blocked = t->blocked;
    t->restore_saved_blocked = true;
    signal_set_blocked(mask);
}

bool signal_ignored(const struct process *p, int sig)
{
    u64 handler = p->sighand->action[sig - 1].handler;

    return handler == (u64)SIG_IGN || (handler == (u64)SIG_DFL && (SIGS_IGNORED & SIG_BIT(sig)));
}

// From outside target's pid namespace, or from the kernel: SIGKILL and SIGSTOP count even for a
// namespace's init.
static bool sent_from_above(const struct process *target, const siginfo_t *info)
{
    struct pid_ns *ns = target->pid->numbers[target->pid->level].ns;

    return info->si_code > 0 || !pid_nr(current()->pid, ns);
}

// True if the signal changes nothing for p and its thread t and need not be kept.
static bool dropped(const struct process *p, const struct task *t, int sig, const siginfo_t *info)
{
    u64 handler = p->sighand->action[sig - 1].handler;

    if ((t->blocked | t->awaited) & SIG_BIT(sig))
        return false;
    if (is_ns_init(p) && handler == (u64)SIG_DFL &&
        !((SIGS_UNBLOCKABLE & SIG_BIT(sig)) && sent_from_above(p, info)))
        return true;
    return signal_ignored(p, sig);
}

static void wake_for_signal(struct task *t)
{
    t->signal_pending = true;
    if (t->state == TASK_SLEEPING)
        sched_wake(t);
    else
        sched_kick(t);
}

static void flush_everywhere(struct process *p, u64 mask)
{
    struct task *t;

    sigqueue_flush(&p->pending, mask);
    list_for_each (t, &p->threads, thread_link)
        sigqueue_flush(&t->pending, mask);
}

// A stop signal and SIGCONT cancel each other, even if they are blocked or ignored; SIGCONT lets a
// stopped process go on.
static void job_control(struct process *p, int sig)
{
    struct task *t;

    if (SIGS_STOP & SIG_BIT(sig))
        flush_everywhere(p, SIG_BIT(SIGCONT));
    if (sig != SIGCONT)
        return;
    flush_everywhere(p, SIGS_STOP);
    if (!p->stopped)
        return;
    bool told = p->stop_notified;
    p->stopped = p->stop_notified = false;
    p->continued = told;
    list_for_each (t, &p->threads, thread_link) {
        if (t->state == TASK_STOPPED)
            sched_wake(t);
    }
    if (told)
        notify_parent(p, CLD_CONTINUED, SIGCONT);
}

void signal_end_process(struct process *p, int sig)
{
    struct task *t;

    if (p->group_exit) // what ended it first is its status
        return;
    p->group_exit = true;
    p->exit_status = sig;
    list_for_each (t, &p->threads, thread_link)
        wake_to_die(t);
}

static bool wants(const struct task *t, int sig)
{
    return !(t->blocked & SIG_BIT(sig)) && !t->exiting;
}

// Sends to t alone, or with t NULL to whichever thread of p will take it.
static int send(struct process *p, struct task *t, int sig, const siginfo_t *info)
{
    static const siginfo_t from_kernel = {.si_code = SI_KERNEL};
    siginfo_t copy = info ? *info : from_kernel;
    struct task *pos;

    if (p->zombie || !p->thread_count || p->group_exit)
        return 0;
    job_control(p, sig);
    struct task *first = t ? t : list_first(&p->threads, struct task, thread_link);
    if (dropped(p, first, sig, &copy))
        return 0;
    if (sig == SIGKILL) {
        signal_end_process(p, sig);
        return 0;
    }
    copy.si_signo = sig;
    if (copy.si_code == SI_USER || copy.si_code == SI_TKILL)
        copy.si_pid = pid_nr(current()->process->pid, p->pid->numbers[p->pid->level].ns);
    int err = sigqueue_add(t ? &t->pending : &p->pending, sig, &copy);
    if (err)
        return err;
    if (first->blocked & SIG_BIT(sig))
        wake_all(&signal_kept);
    if (t) {
        if (wants(t, sig))
            wake_for_signal(t);
        return 0;
    }
    list_for_each (pos, &p->threads, thread_link) {
        if (wants(pos, sig)) {
            wake_for_signal(pos);
            break;
        }
    }
    return 0;
}

int signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
    return t->process && !t->exiting ? send(t->process, t, sig, info) : 0;
}

int signal_send_process(struct process *p, int sig, const siginfo_t *info)
{
    return send(p, NULL, sig, info);
}

int signal_send_group(struct process_group *g, int sig, const siginfo_t *info)
{
    struct process *p, *tmp;
    int err = 0;

    list_for_each_safe (p, tmp, &g->members, pgrp_link) {
        int e = send(p, NULL, sig, info);
        err = err ? err : e;
    }
    return err;
}

bool signal_may_send(struct process *target, int sig)
{
    const struct cred *me = current()->cred, *him = target->leader->cred;

    if (target == current()->process || ns_capable(him->user_ns, CAP_KILL))
        return true;
    if (me->euid == him->suid || me->euid == him->uid || me->uid == him->suid ||
        me->uid == him->uid)
        return true;
    return sig == SIGCONT && target->pgrp->session == current()->process->pgrp->session;
}

void signal_force(int sig, int code, u64 addr)
{
    struct task *t = current();
    struct ksigaction *act = &t->process->sighand->action[sig - 1];
    siginfo_t info = {.si_signo = sig, .si_code = code};

    info.si_addr = (void *)addr;
    t->trap_addr = addr;
    t->trap_nr = t->tf->vector;
    t->trap_error = t->tf->vector == VEC_SYSCALL ? 0 : t->tf->error;
    if (act->handler == (u64)SIG_IGN || (t->blocked & SIG_BIT(sig))) {
        act->handler = (u64)SIG_DFL;
        t->blocked &= ~SIG_BIT(sig);
    }
    if (act->handler == (u64)SIG_DFL && is_ns_init(t->process)) {
        signal_end_process(t->process, sig); // not even init survives a fault of its own
        return;
    }
    sigqueue_flush(&t->pending, SIG_BIT(sig));
    sigqueue_add(&t->pending, sig, &info);
    t->signal_pending = true;
}

bool parent_ignores_children(const struct process *p)
{
    const struct ksigaction *act = &p->parent->sighand->action[SIGCHLD - 1];

    return p->exit_signal == SIGCHLD &&
           (act->handler == (u64)SIG_IGN || (act->flags & SA_NOCLDWAIT));
}

void notify_parent(struct process *p, int code, int status)
{
    struct process *parent = p->parent;
    u64 user, system;

    if (!parent)
        return;
    const struct ksigaction *act = &parent->sighand->action[SIGCHLD - 1];
    bool ended = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
    siginfo_t info = {.si_signo = SIGCHLD, .si_code = code};
    info.si_pid = pid_nr(p->pid, parent->pid->numbers[parent->pid->level].ns);
    info.si_uid = map_id_out(parent->leader->cred->user_ns, false, p->leader->cred->uid);
    info.si_status = code == CLD_EXITED ? status >> 8 & 0xff : status & 0x7f;
    process_times(p, &user, &system);
    info.si_utime = user / 10000000; // clock ticks of 1/100 s
    info.si_stime = system / 10000000;
    int sig = ended ? p->exit_signal : SIGCHLD;
    bool quiet = !ended && ((act->flags & SA_NOCLDSTOP) || act->handler == (u64)SIG_IGN);
    if (sig && !quiet && !(ended && sig == SIGCHLD && act->handler == (u64)SIG_IGN))
        send(parent, NULL, sig, &info);
    wake_all(&parent->child_wait);
}
