// When a guest can take an NMI, on CPUs that do not keep count of it themselves: from the NMI's
// injection until the end of an IRET it cannot (APM 2, 8.2.3 and 15.20). The end of one
// instruction, an IRET or what comes under a shadow, is found by stepping over it.

#include "hv/svm/svm.h"

#include "kernel/x86/cpu.h"

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

bool svm_nmi_stepped(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);

    if (!s->stepping)
        return false;
    if (s->nmi_state == NMI_IN_IRET)
        s->nmi_state = NMI_OPEN; // it has loaded RFLAGS: TF is the guest's again
    else
        v->rflags &= ~RFLAGS_TF;
    s->stepping = false;
    return true;
}

bool svm_nmi_allowed(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);

    if (s->nmi_state == NMI_IN_IRET && v->rip != s->iret_rip)
        s->nmi_state = NMI_OPEN;
    return s->nmi_state == NMI_OPEN && !(s->vmcb->interrupt_shadow & SHADOW);
}

// A guest that steps itself gets its own #DB instead of ours, which also ends in an exit.
void svm_want_nmi_window(struct vcpu *v, bool on)
{
    struct svm_vcpu *s = svm_of(v);

    if (!on || s->nmi_state == NMI_MASKED || s->stepping || (v->rflags & RFLAGS_TF))
        return;
    s->stepping = true;
    v->rflags |= RFLAGS_TF;
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
