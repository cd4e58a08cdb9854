// What a vCPU asks the chips: is there an interrupt, which one; and how it sleeps in HLT and is
// taken out of sleep and of the guest.

#include "hv/irqchip/lapic.h"

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/trap.h"

bool irqchip_accepts_pic(const struct vcpu *v)
{
    u32 lint0 = *lapic_reg(v->lapic, LAPIC_LVT_LINT0);

    return !(v->apic_base & APIC_BASE_ENABLED) || (lint0 & (LVT_MASKED | 0x700)) == APIC_MODE_EXTINT
                                                                                        << 8;
}

static bool pic_interrupt(const struct vcpu *v)
{
    return v->vm->irqchip->pic_output && irqchip_accepts_pic(v);
}

bool vcpu_has_interrupt(const struct vcpu *v)
{
    if (!v->lapic)
        return v->irq >= 0;
    return pic_interrupt(v) || lapic_pending(v->lapic) >= 0;
}

u8 vcpu_take_interrupt(struct vcpu *v)
{
    u8 vector = v->irq;

    if (!v->lapic) {
        v->irq = -1;
        return vector;
    }
    if (pic_interrupt(v))
        return pic_acknowledge(v->vm->irqchip);
    vector = lapic_pending(v->lapic);
    lapic_take(v->lapic, vector);
    return vector;
}

// A vCPU in guest mode leaves it when its CPU is interrupted; one that is about to enter finds the
// interrupt waiting there, as in_guest is set before the kernel lock is dropped.
void vcpu_kick(struct vcpu *v)
{
    wake_all(&v->halt);
    if (v->in_guest && v->cpu != this_cpu()->id)
        ipi_send(v->cpu, VEC_RESCHED);
}

// What ends HLT (SDM 2, HLT; 3A, 6.8.1), and the waits for INIT and for a start-up IPI.
static bool awake(struct vcpu *v)
{
    if (v->init_pending || v->sipi_pending)
        return true;
    return v->mp_state == KVM_MP_STATE_HALTED &&
           (v->pending.valid || (v->nmis && hv_ops->nmi_allowed(v)) ||
            (vcpu_has_interrupt(v) && hv_ops->irq_allowed(v)));
}

// SDM 3A, 9.1: what INIT leaves. x87, vector and machine-check state stay.
static void take_init(struct vcpu *v)
{
    vcpu_put(v);
    v->init_pending = false;
    memset(v->reg, 0, sizeof(v->reg));
    memset(v->dr, 0, sizeof(v->dr));
    v->pending.valid = false;
    v->nmis = 0;
    hv_ops->vcpu_reset(v);
    lapic_reset(v->lapic, false);
    v->mp_state = vcpu_boots(v) ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_INIT_RECEIVED;
}

// SDM 3A, 8.4.4.2: real mode, at the start of the page that the IPI's vector names.
static void take_sipi(struct vcpu *v)
{
    struct kvm_sregs s = {0};

    v->sipi_pending = false;
    if (v->mp_state != KVM_MP_STATE_INIT_RECEIVED)
        return;
    hv_ops->get_sregs(v, &s);
    s.cs.selector = v->sipi_vector << 8;
    s.cs.base = v->sipi_vector << 12;
    hv_ops->set_sregs(v, &s);
    v->rip = 0;
    v->mp_state = KVM_MP_STATE_RUNNABLE;
}

bool vcpu_must_wait(const struct vcpu *v)
{
    return v->mp_state != KVM_MP_STATE_RUNNABLE || v->init_pending || v->sipi_pending;
}

void vcpu_take_starts(struct vcpu *v)
{
    if (v->init_pending)
        take_init(v);
    if (v->sipi_pending)
        take_sipi(v);
}

int vcpu_wait(struct vcpu *v)
{
    bool never_started = v->mp_state == KVM_MP_STATE_UNINITIALIZED;

    if (wait_event(&v->halt, v->mp_state == KVM_MP_STATE_RUNNABLE || awake(v)))
        return 0;
    vcpu_take_starts(v);
    if (v->mp_state == KVM_MP_STATE_HALTED)
        v->mp_state = KVM_MP_STATE_RUNNABLE;
    return never_started ? -EAGAIN : 0;
}
