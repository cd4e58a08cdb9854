// The guest's special registers in the VMCS: struct kvm_sregs, control registers with their masks
// and shadows, MSRs.

#include "hv/vmx/vmx.h"

#include "kernel/lib/err.h"
#include "kernel/x86/cpu.h"

#define CR0_OWNED                                                                                  \
    (CR0_NE | CR0_CD | CR0_NW) // the host's: writes that change them exit, reads see the shadow
// Index in the VMCS's order: ES CS SS DS FS GS LDTR TR.
enum { SEG_LDTR = 6, SEG_TR = 7 };

static void get_segment(int i, struct kvm_segment *s)
{
    u64 a = vmread(VMCS_GUEST_ES_RIGHTS + 2 * i);

    *s = (struct kvm_segment){
        .selector = vmread(VMCS_GUEST_ES + 2 * i),
        .base = vmread(VMCS_GUEST_ES_BASE + 2 * i),
        .limit = vmread(VMCS_GUEST_ES_LIMIT + 2 * i),
        .type = a & 15,
        .s = a >> 4 & 1,
        .dpl = a >> 5 & 3,
        .present = a >> 7 & 1,
        .avl = a >> 12 & 1,
        .l = a >> 13 & 1,
        .db = a >> 14 & 1,
        .g = a >> 15 & 1,
        .unusable = a >> 16 & 1,
    };
}

// Segments that a loaded descriptor would have left "accessed", and a TR that is "busy", are made
// so: VMMs that were written without VT-x in mind leave the bits out, and entry would fail (SDM
// 3C, 26.3.1.2).
static void set_segment(int i, const struct kvm_segment *s)
{
    u64 type = s->type & 15;

    if (i == SEG_TR)
        type |= 2;
    else if (i != SEG_LDTR && s->s)
        type |= 1;
    u64 a = type | (s->s & 1) << 4 | (s->dpl & 3) << 5 | (s->present & 1) << 7 |
            (s->avl & 1) << 12 | (s->l & 1) << 13 | (s->db & 1) << 14 | (s->g & 1) << 15;
    if (s->unusable || !s->present)
        a = i == SEG_TR ? 0x8b : RIGHTS_UNUSABLE;
    vmwrite(VMCS_GUEST_ES + 2 * i, s->selector);
    vmwrite(VMCS_GUEST_ES_BASE + 2 * i, s->base);
    vmwrite(VMCS_GUEST_ES_LIMIT + 2 * i, s->limit);
    vmwrite(VMCS_GUEST_ES_RIGHTS + 2 * i, a);
}

u64 vmx_get_cr0(void)
{
    return (vmread(VMCS_GUEST_CR0) & ~CR0_OWNED) | (vmread(VMCS_CR0_SHADOW) & CR0_OWNED);
}

u64 vmx_get_cr4(void)
{
    return (vmread(VMCS_GUEST_CR4) & CR4_GUEST) | (vmread(VMCS_CR4_SHADOW) & ~CR4_GUEST);
}

void vmx_set_efer(struct vcpu *v, u64 efer)
{
    struct vmx_vcpu *x = vmx_of(v);

    x->entry_controls = efer & EFER_LMA ? x->entry_controls | ENTRY_GUEST_64
                                        : x->entry_controls & ~(u32)ENTRY_GUEST_64;
    vmwrite(VMCS_GUEST_EFER, efer);
    vmwrite(VMCS_ENTRY_CONTROLS, x->entry_controls);
}

void vmx_set_cr0(struct vcpu *v, u64 cr0)
{
    vmwrite(VMCS_GUEST_CR0, (cr0 & ~(CR0_CD | CR0_NW)) | CR0_NE | CR0_ET);
    vmwrite(VMCS_CR0_SHADOW, cr0);
    vmwrite(VMCS_CR0_MASK, CR0_OWNED);
}

void vmx_set_cr4(struct vcpu *v, u64 cr4)
{
    vmwrite(VMCS_GUEST_CR4, (cr4 & CR4_GUEST) | CR4_VMXE);
    vmwrite(VMCS_CR4_SHADOW, cr4);
    vmwrite(VMCS_CR4_MASK, ~CR4_GUEST);
}

// With EPT the four PDPTEs of PAE paging come from the VMCS at entry (SDM 3C, 26.3.2.4): reads them
// where CR3 points.
void vmx_load_pdptes(struct vcpu *v)
{
    struct hv_mode m;
    u64 pdpte[4];

    vmx_of(v)->pdptes_stale = false;
    vmx_get_mode(v, &m);
    if (!(m.cr0 & CR0_PG) || !(m.cr4 & CR4_PAE) || (m.efer & EFER_LMA))
        return;
    if (guest_read(v->vm, m.cr3 & 0xffffffe0, pdpte, sizeof(pdpte)))
        return;
    bool begun = vmx_begin(v);
    for (int i = 0; i < 4; i++)
        vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, pdpte[i]);
    vmx_end(v, begun);
}

void vmx_get_mode(struct vcpu *v, struct hv_mode *m)
{
    bool begun = vmx_begin(v);
    u64 efer = vmread(VMCS_GUEST_EFER), rights = vmread(VMCS_GUEST_CS_RIGHTS);

    *m = (struct hv_mode){
        .cr0 = vmx_get_cr0(),
        .cr3 = vmread(VMCS_GUEST_CR3),
        .cr4 = vmx_get_cr4(),
        .efer = efer,
        .cs_base = vmread(VMCS_GUEST_CS_BASE),
        .cpl = vmread(VMCS_GUEST_SS_RIGHTS) >> 5 & 3,
        .code_bits = (efer & EFER_LMA) && (rights & RIGHTS_L) ? 64
                     : rights & RIGHTS_DB                     ? 32
                                                              : 16,
    };
    vmx_end(v, begun);
}

void vmx_get_sregs(struct vcpu *v, struct kvm_sregs *s)
{
    bool begun = vmx_begin(v);
    struct kvm_segment *const segment[] = {&s->es, &s->cs, &s->ss,  &s->ds,
                                           &s->fs, &s->gs, &s->ldt, &s->tr};

    for (unsigned i = 0; i < ARRAY_SIZE(segment); i++)
        get_segment(i, segment[i]);
    s->gdt.base = vmread(VMCS_GUEST_GDTR_BASE);
    s->gdt.limit = vmread(VMCS_GUEST_GDTR_LIMIT);
    s->idt.base = vmread(VMCS_GUEST_IDTR_BASE);
    s->idt.limit = vmread(VMCS_GUEST_IDTR_LIMIT);
    s->cr0 = vmx_get_cr0();
    s->cr2 = vmx_of(v)->cr2;
    s->cr3 = vmread(VMCS_GUEST_CR3);
    s->cr4 = vmx_get_cr4();
    s->efer = vmread(VMCS_GUEST_EFER);
    vmx_end(v, begun);
}

int vmx_set_sregs(struct vcpu *v, const struct kvm_sregs *s)
{
    bool begun = vmx_begin(v);
    const struct kvm_segment *const segment[] = {&s->es, &s->cs, &s->ss,  &s->ds,
                                                 &s->fs, &s->gs, &s->ldt, &s->tr};

    for (unsigned i = 0; i < ARRAY_SIZE(segment); i++)
        set_segment(i, segment[i]);
    vmwrite(VMCS_GUEST_GDTR_BASE, s->gdt.base);
    vmwrite(VMCS_GUEST_GDTR_LIMIT, s->gdt.limit);
    vmwrite(VMCS_GUEST_IDTR_BASE, s->idt.base);
    vmwrite(VMCS_GUEST_IDTR_LIMIT, s->idt.limit);
    vmx_set_cr0(v, s->cr0);
    vmx_set_cr4(v, s->cr4);
    vmx_set_efer(v, s->efer);
    vmwrite(VMCS_GUEST_CR3, s->cr3);
    vmx_of(v)->cr2 = s->cr2;
    vmx_of(v)->pdptes_stale = true;
    v->flush_wanted = true;
    vmx_end(v, begun);
    return 0;
}

// STAR and its like are in the CPU while the vCPU is loaded, else in struct vmx_vcpu.
static u64 *swapped_msr(struct vmx_vcpu *x, u32 msr)
{
    switch (msr) {
    case MSR_STAR:
        return &x->star;
    case MSR_LSTAR:
        return &x->lstar;
    case MSR_CSTAR:
        return &x->cstar;
    case MSR_SFMASK:
        return &x->sfmask;
    case MSR_KERNEL_GS_BASE:
        return &x->kernel_gs_base;
    default:
        return NULL;
    }
}

static u64 msr_field(u32 msr)
{
    switch (msr) {
    case MSR_FS_BASE:
        return VMCS_GUEST_FS_BASE;
    case MSR_GS_BASE:
        return VMCS_GUEST_GS_BASE;
    case MSR_SYSENTER_CS:
        return VMCS_GUEST_SYSENTER_CS;
    case MSR_SYSENTER_ESP:
        return VMCS_GUEST_SYSENTER_ESP;
    case MSR_SYSENTER_EIP:
        return VMCS_GUEST_SYSENTER_EIP;
    case MSR_EFER:
        return VMCS_GUEST_EFER;
    default:
        return 0;
    }
}

int vmx_get_msr(struct vcpu *v, u32 msr, u64 *value)
{
    const u64 *swapped = swapped_msr(vmx_of(v), msr);
    u64 field = msr_field(msr);

    if (!swapped && !field)
        return -ENOENT;
    if (swapped) {
        *value = v->loaded ? rdmsr(msr) : *swapped;
        return 0;
    }
    bool begun = vmx_begin(v);
    *value = vmread(field);
    vmx_end(v, begun);
    return 0;
}

int vmx_set_msr(struct vcpu *v, u32 msr, u64 value)
{
    u64 *swapped = swapped_msr(vmx_of(v), msr), field = msr_field(msr);

    if (!swapped && !field)
        return -ENOENT;
    if (swapped) {
        if (v->loaded)
            wrmsr(msr, value);
        else
            *swapped = value;
        return 0;
    }
    bool begun = vmx_begin(v);
    if (msr == MSR_EFER)
        vmx_set_efer(v, value);
    else
        vmwrite(field, value);
    vmx_end(v, begun);
    return 0;
}

// After INIT: SDM 3A, table 9-1.
void vmx_vcpu_reset(struct vcpu *v)
{
    const struct kvm_segment data = {.limit = 0xffff, .type = 3, .s = 1, .present = 1};
    struct kvm_sregs s = {
        .es = data,
        .ss = data,
        .ds = data,
        .fs = data,
        .gs = data,
        .cs = {.base = 0xffff0000,
               .limit = 0xffff,
               .selector = 0xf000,
               .type = 11,
               .s = 1,
               .present = 1},
        .ldt = {.limit = 0xffff, .type = 2, .present = 1},
        .tr = {.limit = 0xffff, .type = 11, .present = 1},
        .gdt = {.limit = 0xffff},
        .idt = {.limit = 0xffff},
        .cr0 = CR0_CD | CR0_NW | CR0_ET,
    };

    bool begun = vmx_begin(v);
    vmx_set_sregs(v, &s);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
    vmx_end(v, begun);
    v->rip = 0xfff0;
    v->rflags = RFLAGS_FIXED;
    v->reg[RDX] = 0x600;
    v->dr6 = DR6_INIT;
    v->dr7 = DR7_INIT;
}
