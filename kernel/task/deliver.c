// The way back to user mode: signals are delivered, stops are kept, the CPU is given up,
// interrupted calls are restarted.

#include <linux/errno.h>
#include "kernel/lib/err.h"
#include "kernel/task/account.h"
#include "kernel/task/sched.h"
#include "kernel/task/sched_internal.h"
#include "kernel/task/sigframe.h"
#include "kernel/task/sigset.h"
#include "kernel/task/task_internal.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/fpu.h"
#include "kernel/x86/percpu.h"

#define NR_RESTART_SYSCALL 219
#define SYSCALL_LENGTH 2 // bytes of the SYSCALL instruction

// Tells the parent once, when the last thread has stopped.
static void report_stop(struct process *p)
{
    struct task *t;

    if (p->stop_notified)
        return;
    list_for_each (t, &p->threads, thread_link) {
        if (t->state != TASK_STOPPED && !t->exiting)
            return;
    }
    p->stop_notified = true;
    notify_parent(p, CLD_STOPPED, p->stop_signal);
}

static void stay_stopped(struct process *p)
{
    struct task *t = current();

    while (p->stopped && !fatal_signal_pending()) {
        t->state = TASK_STOPPED;
        report_stop(p);
        schedule();
    }
    t->state = TASK_RUNNABLE;
}

static void stop_process(struct process *p, int sig)
{
    struct task *t;

    p->stopped = true;
    p->stop_signal = sig;
    p->stop_reported = p->stop_notified = p->continued = false;
    list_for_each (t, &p->threads, thread_link) {
        if (t == current())
            continue;
        t->signal_pending = true;
        if (t->state == TASK_SLEEPING)
            sched_wake(t);
        else
            sched_kick(t);
    }
    stay_stopped(p);
}

// The default action of sig: nothing, a stop, or the end.
static void default_action(struct process *p, int sig)
{
    if (SIGS_IGNORED & SIG_BIT(sig))
        return;
    // SIGKILL and SIGSTOP pass init only if they came from above: generation saw to that.
    if (is_ns_init(p) && !(SIGS_UNBLOCKABLE & SIG_BIT(sig)))
        return;
    if (SIGS_STOP & SIG_BIT(sig)) {
        if (sig == SIGSTOP || !pgrp_orphaned(p->pgrp))
            stop_process(p, sig);
        return;
    }
    process_exit(sig);
}

// Takes signals until one has a handler: its number; 0 when no more wait.
static int next_handled(siginfo_t *info, struct ksigaction *act)
{
    struct task *t = current();
    struct process *p = t->process;

    for (;;) {
        if (t->must_exit)
            task_exit(0);
        if (p->group_exit)
            process_exit(p->exit_status);
        if (p->stopped) {
            stay_stopped(p);
            continue;
        }
        int sig = signal_dequeue(~t->blocked, info);
        if (!sig)
            return 0;
        *act = p->sighand->action[sig - 1];
        if (act->handler == (u64)SIG_IGN)
            continue;
        if (act->handler != (u64)SIG_DFL) {
            if (act->flags & SA_RESETHAND)
                p->sighand->action[sig - 1].handler = (u64)SIG_DFL;
            return sig;
        }
        default_action(p, sig);
    }
}

// What becomes of a system call that a signal interrupted: restarted, or ended with EINTR. `act`
// NULL: no handler runs.
static void settle_syscall(struct trapframe *tf, const struct ksigaction *act)
{
    if (tf->vector != VEC_SYSCALL || (s64)tf->error < 0)
        return;
    bool restart = false;
    switch (-(s64)tf->rax) {
    case ERESTARTSYS:
        restart = !act || (act->flags & SA_RESTART);
        break;
    case ERESTARTNOHAND:
    case ERESTART_RESTARTBLOCK:
        restart = !act;
        break;
    default:
        return;
    }
    bool block = tf->rax == -(u64)ERESTART_RESTARTBLOCK;
    tf->rax = -(u64)EINTR;
    if (restart) {
        tf->rax = block ? NR_RESTART_SYSCALL : tf->error;
        tf->rip -= SYSCALL_LENGTH;
    }
    tf->error = -1;
}

static void handle(struct trapframe *tf, int sig, const siginfo_t *info,
                   const struct ksigaction *act)
{
    struct task *t = current();
    u64 old = t->restore_saved_blocked ? t->saved_blocked : t->blocked;

    settle_syscall(tf, act);
    t->restore_saved_blocked = false;
    if (sigframe_push(tf, sig, info, act, old)) {
        // No room for the frame: a fault in the handler's stack, which must not loop.
        t->process->sighand->action[SIGSEGV - 1].handler = (u64)SIG_DFL;
        signal_force(SIGSEGV, SI_KERNEL, 0);
        return;
    }
    u64 mask = t->blocked | act->mask;
    if (!(act->flags & SA_NODEFER))
        mask |= SIG_BIT(sig);
    signal_set_blocked(mask);
}

static void deliver_signals(struct trapframe *tf)
{
    struct task *t = current();
    struct ksigaction act;
    siginfo_t info;
    int sig;

    while ((sig = next_handled(&info, &act)))
        handle(tf, sig, &info, &act);
    settle_syscall(tf, NULL);
    if (t->restore_saved_blocked) {
        t->restore_saved_blocked = false;
        t->blocked = t->saved_blocked;
    }
    signal_recalc(t);
}

static bool has_work(const struct percpu *cpu, const struct task *t)
{
    return cpu->need_resched | t->signal_pending | t->restore_saved_blocked;
}

static __attribute__((noinline)) void do_work(struct task *t, struct trapframe *tf)
{
    while (has_work(this_cpu(), t)) {
        if (this_cpu()->need_resched)
            schedule();
        if (t->signal_pending | t->restore_saved_blocked)
            deliver_signals(tf);
    }
}

void return_to_user(struct trapframe *tf)
{
    struct percpu *cpu = this_cpu();
    struct task *t = cpu->current;

    if (has_work(cpu, t))
        do_work(t, tf);
    account_kernel_exit();
}

static const struct {
    u8 sig, code;
} exceptions[32] = {
    [VEC_DE] = {SIGFPE, FPE_INTDIV}, [VEC_DB] = {SIGTRAP, TRAP_TRACE},
    [VEC_BP] = {SIGTRAP, SI_KERNEL}, [VEC_OF] = {SIGSEGV, SI_KERNEL},
    [VEC_BR] = {SIGSEGV, SI_KERNEL}, [VEC_UD] = {SIGILL, ILL_ILLOPN},
    [VEC_NM] = {SIGSEGV, SI_KERNEL}, [VEC_TS] = {SIGSEGV, SI_KERNEL},
    [VEC_NP] = {SIGBUS, SI_KERNEL},  [VEC_SS] = {SIGBUS, SI_KERNEL},
    [VEC_GP] = {SIGSEGV, SI_KERNEL}, [VEC_MF] = {SIGFPE, FPE_FLTINV},
    [VEC_AC] = {SIGBUS, BUS_ADRALN}, [VEC_XM] = {SIGFPE, FPE_FLTINV},
};

// si_code of a floating point error: sigaction(2).
static int float_code(u8 vector)
{
    static const u8 codes[6] = {FPE_FLTINV, FPE_FLTUND, FPE_FLTDIV,
                                FPE_FLTOVF, FPE_FLTUND, FPE_FLTRES};
    u32 raised = fpu_raised(vector);

    for (int bit = 0; bit < 6; bit++)
        if (raised & 1u << bit)
            return codes[bit];
    return FPE_FLTINV;
}

void user_exception(struct trapframe *tf)
{
    int sig = tf->vector < 32 ? exceptions[tf->vector].sig : 0;
    int code = tf->vector < 32 ? exceptions[tf->vector].code : 0;

    if (tf->vector == VEC_MF || tf->vector == VEC_XM)
        code = float_code(tf->vector);
    if (sig)
        signal_force(sig, code, code == SI_KERNEL ? 0 : tf->rip);
    else
        signal_force(SIGSEGV, SI_KERNEL, 0);
}
