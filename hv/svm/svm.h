// The AMD backend's own: what a vCPU and a CPU have there.
#pragma once
#include "hv/hv.h"
#include "hv/svm/vmcb.h"

struct svm_vcpu {
    struct vmcb *vmcb;
    paddr_t vmcb_pa;
    u32 asid;
    u64 asid_generation; // of the CPU it was taken on
    // Without virtual NMIs in the CPU: an NMI's handler runs, until an IRET has come and gone.
    enum { NMI_OPEN, NMI_MASKED, NMI_IN_IRET } nmi_state;
    u64 iret_rip;
    bool step_wanted, stepping, stepped; // for the next stay, in this one, it ended with our #DB
    bool delivering;                     // an interrupt, as a virtual one
    u64 soft_rip;                        // of the INT n that is delivered for the guest, or 0
    bool shadowed;                       // this stay began under a shadow
};

static inline struct svm_vcpu *svm_of(struct vcpu *v)
{
    return v->vendor;
}

extern bool svm_has_next_rip; // CPUID 8000_000A EDX.NRIPS

// svm.c: this CPU's SVM belongs to the hypervisor below the root partition.
void svm_cpu_is_roots(void);
// state.c
void svm_vcpu_reset(struct vcpu *v);
void svm_get_mode(struct vcpu *v, struct hv_mode *m);
void svm_get_sregs(struct vcpu *v, struct kvm_sregs *s);
int svm_set_sregs(struct vcpu *v, const struct kvm_sregs *s);
int svm_get_msr(struct vcpu *v, u32 msr, u64 *value);
int svm_set_msr(struct vcpu *v, u32 msr, u64 value);
// events.c
void svm_nmi_injected(struct vcpu *v);
void svm_nmi_iret(struct vcpu *v);   // an intercepted IRET is about to run
void svm_step_begin(struct vcpu *v); // around each stay in the guest
void svm_step_end(struct vcpu *v);
void svm_inject(struct vcpu *v, const struct hv_event *e);
bool svm_undelivered(struct vcpu *v);
bool svm_irq_allowed(struct vcpu *v);
void svm_want_irq_window(struct vcpu *v, bool on);
bool svm_nmi_allowed(struct vcpu *v);
void svm_want_nmi_window(struct vcpu *v, bool on);
void svm_get_blocking(struct vcpu *v, u8 *shadow, bool *nmi);
void svm_set_blocking(struct vcpu *v, u8 shadow, bool nmi);
// exits.c
void svm_decode_exit(struct vcpu *v);
