// When and how a guest takes interrupts and NMIs.
//
// An interrupt that the guest can take is delivered as a virtual interrupt; what was not taken when
// the guest was left is still there. (QEMU 7.2 delivers an interrupt of EVENTINJ twice if something
// stops its CPU at that moment.)
//
// NMIs, on CPUs that do not keep count of it themselves: from the NMI's
// injection until the end of an IRET it cannot (APM 2, 8.2.3 and 15.20). The end of one
// instruction, an IRET or what comes under a shadow, is found by stepping over it: RFLAGS.TF is set
// for one stay in the guest, which ends with #DB.
//
// QEMU 7.2 enters guests without the shadow that the VMCB tells (APM 2, 15.21.5), so that a virtual
// interrupt ends the stay at once: what is seen to do that is stepped over shadows for interrupts
// too.

#include "hv/svm/svm.h"

#include "kernel/x86/cpu.h"
#include "kernel/x86/trap.h"

void svm_nmi_injected(struct vcpu *v)
{
    svm_of(v)->nmi_state = NMI_MASKED;
    svm_of(v)->vmcb->intercept1 |= INTERCEPT_IRET;
}

void svm_nmi_iret(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);

    s->nmi_state = NMI_IN_IRET;
    s->iret_rip = v->rip;
    s->vmcb->intercept1 &= ~(u32)INTERCEPT_IRET;
}

static bool shadow_ignored;

// The delivery of an event would store our TF, and a guest that steps itself has its own #DB.
void svm_step_begin(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);

    if (s->step_wanted)
        svm_nmi_allowed(v); // notes an IRET that has come to its end
    s->stepping = s->step_wanted && !s->delivering && !(s->vmcb->event_injection & EVENT_VALID) &&
                  !(v->rflags & RFLAGS_TF);
    s->step_wanted = false;
    s->shadowed = s->vmcb->interrupt_shadow & SHADOW;
    if (s->stepping)
        s->vmcb->rflags |= RFLAGS_TF;
}

// An IRET has loaded RFLAGS: TF is the guest's then. A shadow lasts until an instruction has been
// executed.
void svm_step_end(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);
    struct vmcb *b = s->vmcb;
    bool debug = (u32)b->exit_code == VMEXIT_EXCEPTION + VEC_DB;

    s->stepped = s->stepping && debug;
    if (s->stepped)
        b->dr6 = v->dr6;
    if (s->stepping && !(s->nmi_state == NMI_IN_IRET && b->rip != s->iret_rip))
        b->rflags &= ~RFLAGS_TF;
    if (!s->shadowed || b->rip != v->rip || debug)
        return;
    b->interrupt_shadow |= SHADOW;
    if ((u32)b->exit_code == VMEXIT_VINTR)
        shadow_ignored = true;
}

bool svm_nmi_allowed(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);

    if (s->nmi_state == NMI_IN_IRET && v->rip != s->iret_rip)
        s->nmi_state = NMI_OPEN;
    return s->nmi_state == NMI_OPEN && !(s->vmcb->interrupt_shadow & SHADOW);
}

void svm_want_nmi_window(struct vcpu *v, bool on)
{
    if (on && svm_of(v)->nmi_state != NMI_MASKED)
        svm_of(v)->step_wanted = true;
}

void svm_inject(struct vcpu *v, const struct hv_event *e)
{
    struct vmcb *b = svm_of(v)->vmcb;

    if (e->type == EVENT_INTR && svm_irq_allowed(v)) {
        svm_of(v)->delivering = true;
        b->virtual_interrupt |= V_IRQ | V_INTR_PRIO | V_IGN_TPR | (u64)e->vector << V_VECTOR_SHIFT;
        b->intercept1 &= ~(u32)INTERCEPT_VINTR;
        return;
    }
    if (e->type == EVENT_NMI)
        svm_nmi_injected(v);
    b->event_injection = e->vector | (u64)e->type << 8 | EVENT_VALID |
                         (e->has_error ? EVENT_HAS_ERROR | (u64)e->error << 32 : 0);
}

// After a stay: true if the virtual interrupt was not taken, or its delivery was cut short; then it
// waits in v->pending.
bool svm_undelivered(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);
    struct vmcb *b = s->vmcb;

    if (!s->delivering)
        return false;
    bool left = b->virtual_interrupt & V_IRQ;
    if (left)
        v->pending = (struct hv_event){
            .valid = true, .vector = b->virtual_interrupt >> V_VECTOR_SHIFT, .type = EVENT_INTR};
    s->delivering = false;
    b->virtual_interrupt &= ~(V_IRQ | V_INTR_PRIO | V_IGN_TPR | V_VECTOR);
    return left;
}

bool svm_irq_allowed(struct vcpu *v)
{
    return (v->rflags & RFLAGS_IF) && !(svm_of(v)->vmcb->interrupt_shadow & SHADOW);
}

// V_IRQ with a VINTR intercept exits as soon as the guest could take an interrupt; one that is on
// its way itself must then go by EVENTINJ. CR8's writes are intercepted always: QEMU's TCG aborts
// when one unmasks V_IRQ.
void svm_want_irq_window(struct vcpu *v, bool on)
{
    struct vmcb *b = svm_of(v)->vmcb;

    if (svm_of(v)->delivering) {
        if (!on)
            return;
        b->event_injection = (b->virtual_interrupt & V_VECTOR) >> V_VECTOR_SHIFT | EVENT_VALID;
        b->virtual_interrupt &= ~V_VECTOR;
        svm_of(v)->delivering = false;
    }
    if (on && shadow_ignored && (b->interrupt_shadow & SHADOW)) {
        svm_of(v)->step_wanted = true;
        on = false;
    }
    if (on) {
        b->virtual_interrupt |= V_IRQ | V_INTR_PRIO | V_IGN_TPR;
        b->intercept1 |= INTERCEPT_VINTR;
    } else {
        b->virtual_interrupt &= ~(V_IRQ | V_INTR_PRIO | V_IGN_TPR);
        b->intercept1 &= ~(u32)INTERCEPT_VINTR;
    }
}

// There is one shadow for both STI and MOV SS.
void svm_get_blocking(struct vcpu *v, u8 *shadow, bool *nmi)
{
    bool shadowed = svm_of(v)->vmcb->interrupt_shadow & SHADOW;

    *shadow = shadowed ? KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS : 0;
    svm_nmi_allowed(v); // an IRET that has come to its end counts as ended
    *nmi = svm_of(v)->nmi_state != NMI_OPEN;
}

void svm_set_blocking(struct vcpu *v, u8 shadow, bool nmi)
{
    struct svm_vcpu *s = svm_of(v);

    s->vmcb->interrupt_shadow &= ~SHADOW;
    if (shadow & (KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS))
        s->vmcb->interrupt_shadow |= SHADOW;
    s->nmi_state = NMI_OPEN;
    s->vmcb->intercept1 &= ~(u32)INTERCEPT_IRET;
    if (nmi)
        svm_nmi_injected(v);
}
