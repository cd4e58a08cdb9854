// What a vCPU asks the chips: is there an interrupt, which one; and how it sleeps in HLT and is
// taken out of sleep and of the guest.

#include "hv/irqchip/irqchip.h"

#include "kernel/x86/percpu.h"
#include "kernel/x86/trap.h"

bool irqchip_accepts_pic(const struct vcpu *v)
{
    return v->id == 0;
}

static bool pic_interrupt(const struct vcpu *v)
{
    return v->vm->irqchip->pic_output && irqchip_accepts_pic(v);
}

bool vcpu_has_interrupt(const struct vcpu *v)
{
    return v->vm->irqchip ? pic_interrupt(v) : v->irq >= 0;
}

u8 vcpu_take_interrupt(struct vcpu *v)
{
    u8 vector = v->irq;

    if (v->vm->irqchip)
        return pic_acknowledge(v->vm->irqchip);
    v->irq = -1;
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

// What ends HLT (SDM 2, HLT; 3A, 6.8.1).
static bool awake(struct vcpu *v)
{
    return v->pending.valid || (v->nmis && hv_ops->nmi_allowed(v)) ||
           (vcpu_has_interrupt(v) && hv_ops->irq_allowed(v));
}

int vcpu_halt(struct vcpu *v)
{
    int err = wait_event(&v->halt, awake(v));

    if (!err)
        v->mp_state = KVM_MP_STATE_RUNNABLE;
    return err;
}
