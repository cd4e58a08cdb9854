// A vCPU's registers for user space: by KVM_GET_REGS and its kin, and through kvm_run
// (KVM_CAP_SYNC_REGS), which saves the calls.

#include "hv/exits.h"

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/usercopy.h"
#include "kernel/x86/cpu.h"

static void get_regs(const struct vcpu *v, struct kvm_regs *to)
{
    const u64 *r = v->reg;
    *to = (struct kvm_regs){
        .rax = r[RAX],
        .rbx = r[RBX],
        .rcx = r[RCX],
        .rdx = r[RDX],
        .rsi = r[RSI],
        .rdi = r[RDI],
        .rsp = r[RSP],
        .rbp = r[RBP],
        .r8 = r[R8],
        .r9 = r[R9],
        .r10 = r[R10],
        .r11 = r[R11],
        .r12 = r[R12],
        .r13 = r[R13],
        .r14 = r[R14],
        .r15 = r[R15],
        .rip = v->rip,
        .rflags = v->rflags,
    };
}

static void set_regs(struct vcpu *v, const struct kvm_regs *r)
{
    const u64 values[GPRS] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
                              r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15};
    memcpy(v->reg, values, sizeof(values));
    v->rip = r->rip;
    v->rflags = r->rflags | RFLAGS_FIXED;
    if (v->pending.type == EVENT_EXCEPTION)
        v->pending.valid = false;
}

static void get_sregs(struct vcpu *v, struct kvm_sregs *s)
{
    *s = (struct kvm_sregs){0};
    hv_ops->get_sregs(v, s);
    s->cr8 = v->cr8;
    s->apic_base = v->apic_base;
    if (v->pending.valid && v->pending.type == EVENT_INTR)
        s->interrupt_bitmap[v->pending.vector / 64] |= BIT(v->pending.vector % 64);
}

// What VMRUN or VMLAUNCH would refuse is EINVAL here (APM 2, 15.5.1; SDM 3C, 26.3.1).
static bool sregs_valid(const struct kvm_sregs *s)
{
    bool paging = s->cr0 & CR0_PG;

    if ((s->cr0 >> 32) || (paging && !(s->cr0 & CR0_PE)) ||
        ((s->cr0 & CR0_NW) && !(s->cr0 & CR0_CD)))
        return false;
    if (s->efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
        return false;
    if (paging && (s->efer & EFER_LME) && (!(s->cr4 & CR4_PAE) || !(s->efer & EFER_LMA)))
        return false;
    if ((s->efer & EFER_LMA) && (!paging || !(s->efer & EFER_LME)))
        return false;
    if ((s->efer & EFER_LMA) && s->cs.l && s->cs.db)
        return false;
    return s->cr8 < 16 && guest_cr4_valid(s->cr4, s->efer);
}

static int set_sregs(struct vcpu *v, const struct kvm_sregs *s)
{
    if (!sregs_valid(s))
        return -EINVAL;
    if (vcpu_set_apic_base(v, s->apic_base, false))
        return -EINVAL;
    int err = hv_ops->set_sregs(v, s);
    if (err)
        return err;
    vcpu_set_cr8(v, s->cr8);
    for (int vector = 0; vector < 256; vector++) {
        if (s->interrupt_bitmap[vector / 64] & BIT(vector % 64)) {
            v->pending = (struct hv_event){.valid = true, .vector = vector, .type = EVENT_INTR};
            break;
        }
    }
    return 0;
}

long vcpu_regs_ioctl(struct vcpu *v, u32 cmd, u64 arg)
{
    void __user *user = (void *)arg;
    struct kvm_sregs sregs;
    struct kvm_regs regs;

    switch (cmd) {
    case KVM_GET_REGS:
        get_regs(v, &regs);
        return copy_to_user(user, &regs, sizeof(regs));
    case KVM_SET_REGS:
        if (copy_from_user(&regs, user, sizeof(regs)))
            return -EFAULT;
        set_regs(v, &regs);
        return 0;
    case KVM_GET_SREGS:
        get_sregs(v, &sregs);
        return copy_to_user(user, &sregs, sizeof(sregs));
    case KVM_SET_SREGS:
        return copy_from_user(&sregs, user, sizeof(sregs)) ? -EFAULT : set_sregs(v, &sregs);
    default:
        return -ENOTTY;
    }
}

int regs_from_run(struct vcpu *v)
{
    struct kvm_run *run = v->run;
    u64 dirty = *(volatile u64 *)&run->kvm_dirty_regs;
    struct kvm_sync_regs s;

    if ((dirty | *(volatile u64 *)&run->kvm_valid_regs) & ~KVM_SYNC_X86_VALID_FIELDS)
        return -EINVAL;
    if (!dirty)
        return 0;
    memcpy(&s, &run->s.regs, sizeof(s)); // kvm_run is hostile: checked is what is used
    if (dirty & KVM_SYNC_X86_REGS)
        set_regs(v, &s.regs);
    if ((dirty & KVM_SYNC_X86_SREGS) && set_sregs(v, &s.sregs))
        return -EINVAL;
    if ((dirty & KVM_SYNC_X86_EVENTS) && vcpu_set_events(v, &s.events))
        return -EINVAL;
    run->kvm_dirty_regs = 0;
    return 0;
}

void regs_to_run(struct vcpu *v)
{
    u64 wanted = *(volatile u64 *)&v->run->kvm_valid_regs;

    if (wanted & KVM_SYNC_X86_REGS)
        get_regs(v, &v->run->s.regs.regs);
    if (wanted & KVM_SYNC_X86_SREGS)
        get_sregs(v, &v->run->s.regs.sregs);
    if (wanted & KVM_SYNC_X86_EVENTS)
        vcpu_get_events(v, &v->run->s.regs.events);
}
