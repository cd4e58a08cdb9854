// KVM_RUN: into the guest and back until user space has something to do.

#include "hv/hv.h"

#include "kernel/lib/err.h"
#include "kernel/task/account.h"
#include "kernel/task/sched.h"
#include "kernel/task/signal.h"
#include "kernel/task/task.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/klock.h"
#include "kernel/x86/percpu.h"

// kvm_run is written by the VMM at any time: each field is read once, through this.
#define read_once(x) (*(volatile typeof(x) *)&(x))

// Whether user space, which then has the interrupt chips, asks to be told when the guest takes
// interrupts.
static bool wants_window(const struct vcpu *v)
{
    return !v->vm->irqchip && read_once(v->run->request_interrupt_window);
}

// Chooses what to inject now (SDM 3A, 6.9): what was cut short first, then an NMI, then an
// interrupt if the guest takes them. What cannot come yet, or `window`, asks for an exit when it
// can. A debugger may keep interrupts and NMIs away from the instructions that it steps.
static void inject_pending(struct vcpu *v, bool window)
{
    bool open = !(v->debug & KVM_GUESTDBG_BLOCKIRQ);

    bool nmi = v->nmis && hv_ops->nmi_allowed(v);
    if (v->nmis && !nmi)
        v->nmis = 1; // those that come while one is served are one
    if (open && !v->pending.valid && nmi) {
        v->nmis--;
        v->pending = (struct hv_event){.valid = true, .vector = 2, .type = EVENT_NMI};
    }
    bool waiting = open && vcpu_has_interrupt(v);
    if (waiting && !v->pending.valid && hv_ops->irq_allowed(v)) {
        v->pending =
            (struct hv_event){.valid = true, .vector = vcpu_take_interrupt(v), .type = EVENT_INTR};
        waiting = vcpu_has_interrupt(v);
    }
    if (v->pending.valid) {
        hv_ops->inject(v, &v->pending);
        v->pending.valid = false;
    }
    hv_ops->want_nmi_window(v, open && v->nmis);
    hv_ops->want_irq_window(v, waiting || window);
}

// One stay in the guest, which ends when it can take an interrupt if `window`. The kernel lock is
// dropped in it, and interrupts that end it are served before it is taken again.
static void enter_guest(struct vcpu *v, bool window)
{
    vcpu_load(v);
    inject_pending(v, window);
    if (v->flush_wanted) {
        v->flush_wanted = false;
        hv_ops->flush(v);
    }
    account_kernel_exit();
    v->in_guest = true;
    klock_release();
    u64 step = v->debug & KVM_GUESTDBG_SINGLESTEP ? RFLAGS_TF & ~v->rflags : 0;
    v->rflags |= step;
    hv_ops->enter(v);
    v->rflags &= ~step;
    v->in_guest = false;
    sti_cli();
    klock_acquire();
    account_kernel_entry();
    hv_ops->decode_exit(v);
}

// Whatever puts the task to sleep or preempts it, the CPU is the host's again before another task
// has it.
static void sched_out(struct task *t)
{
    vcpu_put(t->hv_vcpu);
}

// Signals, freezing and the scheduler's wishes, before each entry. 0, or -EINTR with kvm_run saying
// so.
static int before_entry(struct vcpu *v)
{
    if (!resched_or_signal_pending())
        return 0;
    if (!signal_pending_current())
        schedule();
    if (!signal_pending_current())
        return 0;
    v->run->exit_reason = KVM_EXIT_INTR;
    return -EINTR;
}

static long run_loop(struct vcpu *v)
{
    struct kvm_run *run = v->run;

    for (;;) {
        int err = before_entry(v);
        if (err)
            return err;
        if (vcpu_must_wait(v)) {
            err = vcpu_wait(v);
            if (err)
                return err;
            continue;
        }
        bool window = wants_window(v);
        if (window && v->irq < 0 && !v->pending.valid && hv_ops->irq_allowed(v)) {
            run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
            return 0;
        }
        if (v->clock_stale)
            kvmclock_update(v);
        if ((v->debug & KVM_GUESTDBG_SINGLESTEP) && debug_step_sti(v))
            return debug_stepped(v);
        enter_guest(v, window);
        v->exits[v->exit.kind]++;
        int result = handle_exit(v);
        if (result == RESUME && v->stepped)
            result = debug_stepped(v);
        if (result != RESUME)
            return result;
    }
}

// KVM_RUN. 0 with run->exit_reason, or -EINTR after a signal or with immediate_exit; the latter
// leaves run->exit_reason as it was.
long vcpu_run(struct vcpu *v)
{
    struct kvm_run *run = v->run;

    long result = 0;
    if (read_once(run->kvm_dirty_regs) | read_once(run->kvm_valid_regs))
        result = regs_from_run(v);
    if (result)
        return result;
    if (v->has_sigmask)
        signal_set_temporary_mask(v->sigmask);
    if (!v->lapic)
        v->cr8 = read_once(run->cr8) & 15;
    result = complete_userspace(v);
    if (result == RESUME) {
        if (read_once(run->immediate_exit)) {
            result = -EINTR;
        } else {
            current()->hv_vcpu = v;
            current()->sched_out = sched_out;
            result = run_loop(v);
            vcpu_put(v);
            current()->sched_out = NULL;
            current()->hv_vcpu = NULL;
        }
    }
    if (read_once(run->kvm_valid_regs))
        regs_to_run(v);
    run->cr8 = v->cr8;
    run->apic_base = v->apic_base;
    run->if_flag = (v->rflags & RFLAGS_IF) != 0;
    run->ready_for_interrupt_injection =
        v->vm->irqchip || (v->irq < 0 && !v->pending.valid && hv_ops->irq_allowed(v));
    return result;
}
