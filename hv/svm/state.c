// The guest's special registers in the VMCB's save area: struct kvm_sregs and MSRs.

#include "hv/svm/svm.h"

#include "kernel/lib/err.h"
#include "kernel/x86/cpu.h"

#define ATTRIBUTE_TSS 0x81 // present, an available TSS; bit 3 of the type: of 32 or 64 bits
#define TYPE_BUSY 2

// Attributes are bits 55:52 and 47:40 of a descriptor (APM 2, 15.5.1): type, S, DPL, P, AVL, L, DB,
// G.
static void get_segment(const struct vmcb_segment *from, struct kvm_segment *to)
{
    u16 a = from->attributes;

    *to = (struct kvm_segment){
        .base = from->base,
        .limit = from->limit,
        .selector = from->selector,
        .type = a & 15,
        .s = a >> 4 & 1,
        .dpl = a >> 5 & 3,
        .present = a >> 7 & 1,
        .avl = a >> 8 & 1,
        .l = a >> 9 & 1,
        .db = a >> 10 & 1,
        .g = a >> 11 & 1,
        .unusable = !(a >> 7 & 1),
    };
}

static void set_segment(struct vmcb_segment *to, const struct kvm_segment *from)
{
    bool present = from->present && !from->unusable;

    to->base = from->base;
    to->limit = from->limit;
    to->selector = from->selector;
    to->attributes = (from->type & 15) | (from->s & 1) << 4 | (from->dpl & 3) << 5 | present << 7 |
                     (from->avl & 1) << 8 | (from->l & 1) << 9 | (from->db & 1) << 10 |
                     (from->g & 1) << 11;
}

// Whatever type is asked for, TR holds a TSS, of 16 or of 32 and 64 bits, and says that it is
// available, as after LTR in QEMU: at a change of stack QEMU ends itself over any other. The guest
// sees it busy.
static void set_task(struct vmcb_segment *to, const struct kvm_segment *from)
{
    set_segment(to, from);
    to->attributes = (to->attributes & ~0x97) | ATTRIBUTE_TSS;
}

void svm_get_mode(struct vcpu *v, struct hv_mode *m)
{
    const struct vmcb *b = svm_of(v)->vmcb;
    bool long_mode = (b->efer & EFER_LMA) && (b->cs.attributes & ATTRIBUTE_L);

    *m = (struct hv_mode){
        .cr0 = b->cr0,
        .cr3 = b->cr3,
        .cr4 = b->cr4,
        .efer = b->efer & ~EFER_SVME,
        .cs_base = b->cs.base,
        .cpl = b->cpl,
        .code_bits = long_mode                         ? 64
                     : b->cs.attributes & ATTRIBUTE_DB ? 32
                                                       : 16,
    };
}

void svm_get_sregs(struct vcpu *v, struct kvm_sregs *s)
{
    const struct vmcb *b = svm_of(v)->vmcb;

    get_segment(&b->es, &s->es);
    get_segment(&b->cs, &s->cs);
    get_segment(&b->ss, &s->ss);
    get_segment(&b->ds, &s->ds);
    get_segment(&b->fs, &s->fs);
    get_segment(&b->gs, &s->gs);
    get_segment(&b->ldtr, &s->ldt);
    get_segment(&b->tr, &s->tr);
    s->tr.type |= TYPE_BUSY;
    s->ss.dpl = b->cpl;
    s->gdt.base = b->gdtr.base;
    s->gdt.limit = b->gdtr.limit;
    s->idt.base = b->idtr.base;
    s->idt.limit = b->idtr.limit;
    s->cr0 = b->cr0;
    s->cr2 = b->cr2;
    s->cr3 = b->cr3;
    s->cr4 = b->cr4;
    s->efer = b->efer & ~EFER_SVME;
}

int svm_set_sregs(struct vcpu *v, const struct kvm_sregs *s)
{
    struct vmcb *b = svm_of(v)->vmcb;

    set_segment(&b->es, &s->es);
    set_segment(&b->cs, &s->cs);
    set_segment(&b->ss, &s->ss);
    set_segment(&b->ds, &s->ds);
    set_segment(&b->fs, &s->fs);
    set_segment(&b->gs, &s->gs);
    set_segment(&b->ldtr, &s->ldt);
    set_task(&b->tr, &s->tr);
    b->cpl = s->ss.dpl & 3;
    b->gdtr.base = s->gdt.base;
    b->gdtr.limit = s->gdt.limit;
    b->idtr.base = s->idt.base;
    b->idtr.limit = s->idt.limit;
    b->cr0 = s->cr0;
    b->cr2 = s->cr2;
    b->cr3 = s->cr3;
    b->cr4 = s->cr4;
    b->efer = s->efer | EFER_SVME;
    v->flush_wanted = true;
    return 0;
}

static u64 *msr_field(struct vmcb *b, u32 msr)
{
    switch (msr) {
    case MSR_STAR:
        return &b->star;
    case MSR_LSTAR:
        return &b->lstar;
    case MSR_CSTAR:
        return &b->cstar;
    case MSR_SFMASK:
        return &b->sfmask;
    case MSR_KERNEL_GS_BASE:
        return &b->kernel_gs_base;
    case MSR_FS_BASE:
        return &b->fs.base;
    case MSR_GS_BASE:
        return &b->gs.base;
    case MSR_SYSENTER_CS:
        return &b->sysenter_cs;
    case MSR_SYSENTER_ESP:
        return &b->sysenter_esp;
    case MSR_SYSENTER_EIP:
        return &b->sysenter_eip;
    default:
        return NULL;
    }
}

int svm_get_msr(struct vcpu *v, u32 msr, u64 *value)
{
    struct vmcb *b = svm_of(v)->vmcb;
    const u64 *field = msr_field(b, msr);

    if (!field && msr != MSR_EFER)
        return -ENOENT;
    *value = field ? *field : b->efer & ~EFER_SVME;
    return 0;
}

int svm_set_msr(struct vcpu *v, u32 msr, u64 value)
{
    struct vmcb *b = svm_of(v)->vmcb;
    u64 *field = msr_field(b, msr);

    if (!field && msr != MSR_EFER)
        return -ENOENT;
    if (field)
        *field = value;
    else
        b->efer = value | EFER_SVME;
    return 0;
}

// After INIT: APM 2, table 14-1.
void svm_vcpu_reset(struct vcpu *v)
{
    struct vmcb *b = svm_of(v)->vmcb;
    const struct vmcb_segment data = {.attributes = 0x93, .limit = 0xffff};

    b->es = b->ss = b->ds = b->fs = b->gs = data;
    b->cs = (struct vmcb_segment){
        .selector = 0xf000, .attributes = 0x9b, .limit = 0xffff, .base = 0xffff0000};
    b->gdtr = b->idtr = (struct vmcb_segment){.limit = 0xffff};
    b->ldtr = (struct vmcb_segment){.attributes = 0x82, .limit = 0xffff};
    b->tr = (struct vmcb_segment){.attributes = ATTRIBUTE_TSS | 8, .limit = 0xffff};
    b->cr0 = CR0_CD | CR0_NW | CR0_ET;
    b->cr2 = b->cr3 = b->cr4 = 0;
    b->efer = EFER_SVME;
    b->cpl = 0;
    b->interrupt_shadow = 0;
    b->intercept1 &= ~(u32)INTERCEPT_IRET;
    svm_of(v)->nmi_state = NMI_OPEN;
    v->flush_wanted = true;
    v->rip = 0xfff0;
    v->rflags = RFLAGS_FIXED;
    v->reg[RDX] = 0x600;
    v->dr6 = DR6_INIT;
    v->dr7 = DR7_INIT;
}
