// AMD SVM with nested paging: APM 2, chapter 15. Enabling, vCPUs, entry, injection, ASIDs.

#include "hv/root.h"
#include "hv/svm/root.h"
#include "hv/svm/svm.h"

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/slab.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/log.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/trap.h"

// Address-space identifiers are dealt out one after the other; when they run out all TLB entries go
// and a new generation begins.
static struct svm_cpu {
    bool enabled;
    u32 next_asid;
    u64 generation;
    u8 save_area[4096] __aligned(4096); // VM_HSAVE_PA
    struct vmcb host __aligned(4096);   // what VMSAVE keeps of the host
    paddr_t host_pa;
} svm_cpu[MAX_CPUS];

static u32 first_asid = 1, asid_count;
// svm_switch, or the way to it through the hypervisor below the root partition.
static void (*run_vmcb)(paddr_t guest, paddr_t host, u64 *reg) = svm_switch;
bool svm_has_next_rip;

// Bitmaps that intercept all ports, and all MSRs but those that VMLOAD and VMSAVE switch. APM
// 2, 15.10.1 and 15.11.
static u8 io_bitmap[3 * 4096] __aligned(4096);
static u8 msr_bitmap[2 * 4096] __aligned(4096);

static void msr_pass_through(u32 msr)
{
    u32 base = msr < 0x2000 ? 0 : 0x800, bit = (msr & 0x1fff) * 2;

    msr_bitmap[base + bit / 8] &= ~(3 << bit % 8);
}

static void bitmaps_init(void)
{
    static const u32 switched[] = {
        MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR,    MSR_LSTAR,
        MSR_CSTAR,       MSR_SFMASK,       MSR_FS_BASE,      MSR_GS_BASE, MSR_KERNEL_GS_BASE};

    memset(io_bitmap, 0xff, sizeof(io_bitmap));
    memset(msr_bitmap, 0xff, sizeof(msr_bitmap));
    for (unsigned i = 0; i < ARRAY_SIZE(switched); i++)
        msr_pass_through(switched[i]);
}

static const char *svm_probe(void)
{
    if (cpuid(0x80000000, 0).eax < 0x8000000a || !(cpuid(0x80000001, 0).ecx & BIT(2)))
        return "the CPU has no SVM";
    struct cpuid features = cpuid(0x8000000a, 0);
    if (!(features.edx & BIT(0)))
        return "SVM has no nested paging";
    if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS)
        return "the firmware has turned SVM off (VM_CR.SVMDIS)";
    asid_count = features.ebx;
    svm_has_next_rip = features.edx & BIT(3);
    bitmaps_init();
    return NULL;
}

// Turns SVM on for this CPU, for good.
static void svm_cpu_enable(struct svm_cpu *c)
{
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, virt_to_phys(c->save_area));
    c->host_pa = virt_to_phys(&c->host);
    c->next_asid = first_asid;
    c->generation = 1;
    c->enabled = true;
}

void svm_cpu_is_roots(void)
{
    struct svm_cpu *c = &svm_cpu[this_cpu()->id];

    first_asid = ROOT_ASID + 1;
    c->host_pa = virt_to_phys(&c->host);
    c->next_asid = first_asid;
    c->generation = 1;
    c->enabled = true;
    run_vmcb = svm_root_switch;
}

static int svm_vcpu_create(struct vcpu *v)
{
    struct svm_vcpu *s = kzalloc(sizeof(*s));
    struct page *page = frame_alloc(0, FRAME_ZERO);

    if (!s || !page) {
        kfree(s);
        if (page)
            page_put(page);
        return -ENOMEM;
    }
    s->vmcb = page_to_virt(page);
    s->vmcb_pa = page_to_phys(page);
    v->vendor = s;
    v->cpu = MAX_CPUS;

    struct vmcb *b = s->vmcb;
    b->intercept_exceptions =
        BIT(1) | BIT(17);                    // #DB and #AC: a guest can make their delivery endless
    b->intercept_cr_write = BIT(4) | BIT(8); // QEMU ends the guest at a reserved bit instead of #GP
    b->intercept_dr_write = 0xff;            // and leaves the guest's breakpoints armed in the host
    b->intercept1 = INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_SMI | INTERCEPT_INIT |
                    INTERCEPT_RDPMC | INTERCEPT_CPUID | INTERCEPT_INVD | INTERCEPT_HLT |
                    INTERCEPT_INVLPGA | INTERCEPT_IO | INTERCEPT_MSR | INTERCEPT_TASK_SWITCH |
                    INTERCEPT_FERR_FREEZE | INTERCEPT_SHUTDOWN;
    b->intercept2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD | INTERCEPT_VMSAVE |
                    INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT | INTERCEPT_WBINVD |
                    INTERCEPT_MONITOR | INTERCEPT_MWAIT | INTERCEPT_MWAIT_ARMED | INTERCEPT_XSETBV;
    b->iopm_base = virt_to_phys(io_bitmap);
    b->msrpm_base = virt_to_phys(msr_bitmap);
    b->virtual_interrupt = V_INTR_MASKING;
    b->nested_control = NP_ENABLE;
    b->nested_cr3 = v->vm->nested_root;
    svm_vcpu_reset(v);
    return 0;
}

static void svm_vcpu_destroy(struct vcpu *v)
{
    page_put(virt_to_page(svm_of(v)->vmcb));
    kfree(v->vendor);
}

static void take_asid(struct svm_cpu *c, struct svm_vcpu *s)
{
    s->vmcb->tlb_control = 0;
    if (c->next_asid >= asid_count) {
        c->next_asid = first_asid;
        c->generation++;
        s->vmcb->tlb_control = TLB_FLUSH_ALL;
    }
    s->asid = s->vmcb->asid = c->next_asid++;
    s->asid_generation = c->generation;
}

static void svm_vcpu_load(struct vcpu *v)
{
    struct svm_cpu *c = &svm_cpu[this_cpu()->id];
    struct svm_vcpu *s = svm_of(v);

    if (!c->enabled)
        svm_cpu_enable(c);
    if (v->cpu != this_cpu()->id || s->asid_generation != c->generation)
        take_asid(c, s);
    v->cpu = this_cpu()->id;
    if (!root_partition)
        vmsave(c->host_pa);
}

static void svm_vcpu_put(struct vcpu *v)
{
    // The VMCB is memory: nothing of the vCPU stays in the CPU but TLB entries under its ASID.
}

// A new ASID has no translations yet.
static void svm_flush(struct vcpu *v)
{
    take_asid(&svm_cpu[this_cpu()->id], svm_of(v));
}

static void svm_debug_changed(struct vcpu *v)
{
    struct vmcb *b = svm_of(v)->vmcb;

    b->intercept_exceptions &= ~BIT(VEC_BP);
    b->intercept1 &= ~(u32)INTERCEPT_INTN;
    if (v->debug & KVM_GUESTDBG_USE_SW_BP) {
        b->intercept_exceptions |= BIT(VEC_BP);
        b->intercept1 |= INTERCEPT_INTN;
    }
    b->intercept_dr_read = v->debug & KVM_GUESTDBG_USE_HW_BP ? 0xff : 0;
}

// QEMU's breakpoints are those of a MOV to DR7, not of VMRUN: here is one. The kernel never touches
// the lower half of the address space between it and VMRUN; breakpoints elsewhere could hit the
// kernel, and are left to real CPUs.
static bool arm_breakpoints(const struct vcpu *v, struct vmcb *b)
{
    const u64 address[4] = {read_dr0(), read_dr1(), read_dr2(), read_dr3()};

    if (v->debug)
        b->dr6 = DR6_INIT;
    b->dr7 = debug_dr7(v);
    for (int i = 0; i < 4; i++) {
        if ((b->dr7 >> 2 * i & 3) && address[i] >> 47)
            return false;
    }
    write_dr7(b->dr7 & ~DR7_GD);
    return b->dr7 & DR7_ENABLED;
}

// What CMPXCHG8B and CMPXCHG16B leave behind under QEMU before version 8 (cmpxchg16b_spoils_flags):
// bits of an operand over RFLAGS. Bits that programs seldom change are then as they were at entry.
static void drop_operand(struct vmcb *b, u64 before)
{
    const u64 often = 0xad5; // CF, PF, AF, ZF, SF, IF, OF

    if ((u32)b->rflags & (u32)RFLAGS_RESERVED)
        b->rflags = (b->rflags & often) | (before & ~often);
}

static void svm_enter(struct vcpu *v)
{
    struct vmcb *b = svm_of(v)->vmcb;

    b->rax = v->reg[RAX];
    b->rsp = v->reg[RSP];
    b->rip = v->rip;
    b->rflags = v->rflags;
    b->dr6 = v->dr6;
    b->dr7 = v->dr7;
    b->tsc_offset = v->tsc_offset;
    b->g_pat = v->pat;
    b->virtual_interrupt = (b->virtual_interrupt & ~V_TPR) | v->cr8;

    svm_step_begin(v);
    // QEMU leaves the host without paging if it exits from a guest with LME and without PAE and PG.
    // LME means nothing there, and no guest changes EFER or CR4 without an exit.
    u64 hidden = b->cr4 & CR4_PAE ? 0 : b->efer & EFER_LME;
    b->efer &= ~hidden;
    bool armed = (v->debug || (v->dr7 & DR7_ENABLED)) && arm_breakpoints(v, b);
    run_vmcb(svm_of(v)->vmcb_pa, svm_cpu[v->cpu].host_pa, v->reg);
    if (armed)
        write_dr7(DR7_INIT);
    b->efer |= hidden;
    drop_operand(b, v->rflags);
    svm_step_end(v);

    b->tlb_control = 0;
    b->event_injection = 0;
    v->reg[RAX] = b->rax;
    v->reg[RSP] = b->rsp;
    v->rip = b->rip;
    v->rflags = b->rflags;
    if (!v->debug) {
        v->dr6 = b->dr6;
        v->dr7 = b->dr7;
    }
    v->cr8 = b->virtual_interrupt & 15;
}

static void svm_advance(struct vcpu *v, unsigned length)
{
    struct vmcb *b = svm_of(v)->vmcb;

    v->rip += length;
    if (!(b->efer & EFER_LMA) || !(b->cs.attributes & ATTRIBUTE_L))
        v->rip = (u32)v->rip;
    b->interrupt_shadow &= ~SHADOW;
}

static u64 svm_nested_entry(paddr_t pa, bool leaf, bool writable)
{
    return pa | PTE_P | PTE_U | (writable || !leaf ? PTE_W : 0);
}

const struct hv_ops svm_ops = {
    .name = "svm",
    .probe = svm_probe,
    .vcpu_create = svm_vcpu_create,
    .vcpu_destroy = svm_vcpu_destroy,
    .vcpu_reset = svm_vcpu_reset,
    .vcpu_load = svm_vcpu_load,
    .vcpu_put = svm_vcpu_put,
    .enter = svm_enter,
    .decode_exit = svm_decode_exit,
    .get_mode = svm_get_mode,
    .get_sregs = svm_get_sregs,
    .set_sregs = svm_set_sregs,
    .get_msr = svm_get_msr,
    .set_msr = svm_set_msr,
    .inject = svm_inject,
    .irq_allowed = svm_irq_allowed,
    .want_irq_window = svm_want_irq_window,
    .nmi_allowed = svm_nmi_allowed,
    .want_nmi_window = svm_want_nmi_window,
    .get_blocking = svm_get_blocking,
    .set_blocking = svm_set_blocking,
    .debug_changed = svm_debug_changed,
    .advance = svm_advance,
    .nested_entry = svm_nested_entry,
    .flush = svm_flush,
    .root_enter_cpu = svm_root_enter_cpu,
};
