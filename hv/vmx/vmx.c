// Intel VT-x with EPT and unrestricted guest: SDM 3C, chapters 23 to 28. Enabling, vCPUs, entry,
// injection.
//
// A VMCS is current on a CPU only between vcpu_load and vcpu_put, or for the length of an access
// (vmx_begin, vmx_end), so no other CPU ever holds a part of it in its caches.

#include "hv/vmx/vmx.h"

#include "kernel/lib/err.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/slab.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/descriptors.h"
#include "kernel/x86/log.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/trap.h"

#define PREEMPTION_MS 2 // how long a guest may stay when no interrupt takes it out

static struct vmx_cpu {
    bool enabled;
    u8 region[4096] __aligned(4096); // VMXON's
} vmx_cpu[MAX_CPUS];

static u32 preemption_ticks;

static const char *vmx_probe(void)
{
    if (!(cpuid(1, 0).ecx & BIT(5)))
        return "the CPU has no VT-x";
    u64 control = rdmsr(MSR_FEATURE_CONTROL);
    if ((control & FEATURE_CONTROL_LOCKED) && !(control & FEATURE_CONTROL_VMXON))
        return "the firmware has turned VT-x off (IA32_FEATURE_CONTROL)";
    const char *missing = vmx_controls_probe();
    if (!missing) {
        u64 ticks = clock_tsc_khz() * PREEMPTION_MS >> (rdmsr(MSR_VMX_MISC) & 31);
        preemption_ticks = ticks ? min(ticks, 0xffffffffUL) : 1;
    }
    return missing;
}

void vmx_cpu_enable(void *region)
{
    if (!(rdmsr(MSR_FEATURE_CONTROL) & FEATURE_CONTROL_LOCKED))
        wrmsr(MSR_FEATURE_CONTROL, FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMXON);
    write_cr0(read_cr0() | rdmsr(MSR_VMX_CR0_FIXED0));
    write_cr4(read_cr4() | rdmsr(MSR_VMX_CR4_FIXED0) | CR4_VMXE);
    *(u32 *)region = rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
    vmx_cpu[this_cpu()->id].enabled = vmxon(virt_to_phys(region));
    if (!vmx_cpu[this_cpu()->id].enabled)
        panic("hv: CPU %u refuses VMXON, the boot CPU has VT-x", this_cpu()->id);
}

bool vmx_begin(struct vcpu *v)
{
    struct vmx_cpu *c = &vmx_cpu[this_cpu()->id];

    if (vmx_of(v)->current)
        return false;
    if (!c->enabled)
        vmx_cpu_enable(c->region);
    if (!vmx_of(v)->cleared) { // SDM 3C, 24.11.3: before a VMCS is used for the first time
        vmclear(virt_to_phys(vmx_of(v)->vmcs));
        vmx_of(v)->cleared = true;
    }
    vmptrld(virt_to_phys(vmx_of(v)->vmcs));
    vmx_of(v)->current = true;
    return true;
}

void vmx_end(struct vcpu *v, bool begun)
{
    if (!begun)
        return;
    vmclear(virt_to_phys(vmx_of(v)->vmcs));
    vmx_of(v)->current = false;
    vmx_of(v)->launched = false;
}

static int vmx_vcpu_create(struct vcpu *v)
{
    struct vmx_vcpu *x = kzalloc(sizeof(*x));
    struct page *page = frame_alloc(0, FRAME_ZERO);

    if (!x || !page) {
        kfree(x);
        if (page)
            page_put(page);
        return -ENOMEM;
    }
    x->vmcs = page_to_virt(page);
    *(u32 *)x->vmcs = rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
    v->vendor = x;
    v->cpu = MAX_CPUS;
    bool begun = vmx_begin(v);
    vmx_controls_init(v);
    vmx_vcpu_reset(v);
    vmx_end(v, begun);
    return 0;
}

static void vmx_vcpu_destroy(struct vcpu *v)
{
    page_put(virt_to_page(vmx_of(v)->vmcs));
    kfree(v->vendor);
}

void vmx_write_host_state(void)
{
    struct descriptor_table gdt, idt;

    store_gdt(&gdt);
    store_idt(&idt);
    cpu_vmwrite(VMCS_HOST_CR0, read_cr0());
    cpu_vmwrite(VMCS_HOST_CR3, read_cr3());
    cpu_vmwrite(VMCS_HOST_CR4, read_cr4());
    cpu_vmwrite(VMCS_HOST_CS, SEL_KERNEL_CODE);
    cpu_vmwrite(VMCS_HOST_SS, SEL_KERNEL_DATA);
    cpu_vmwrite(VMCS_HOST_DS, 0);
    cpu_vmwrite(VMCS_HOST_ES, 0);
    cpu_vmwrite(VMCS_HOST_FS, 0);
    cpu_vmwrite(VMCS_HOST_GS, 0);
    cpu_vmwrite(VMCS_HOST_TR, SEL_TSS);
    cpu_vmwrite(VMCS_HOST_TR_BASE, (u64)&this_cpu()->tss);
    cpu_vmwrite(VMCS_HOST_FS_BASE, rdmsr(MSR_FS_BASE));
    cpu_vmwrite(VMCS_HOST_GS_BASE, rdmsr(MSR_GS_BASE));
    cpu_vmwrite(VMCS_HOST_GDTR_BASE, gdt.base);
    cpu_vmwrite(VMCS_HOST_IDTR_BASE, idt.base);
    cpu_vmwrite(VMCS_HOST_SYSENTER_CS, rdmsr(MSR_SYSENTER_CS));
    cpu_vmwrite(VMCS_HOST_SYSENTER_ESP, rdmsr(MSR_SYSENTER_ESP));
    cpu_vmwrite(VMCS_HOST_SYSENTER_EIP, rdmsr(MSR_SYSENTER_EIP));
    cpu_vmwrite(VMCS_HOST_EFER, rdmsr(MSR_EFER));
    cpu_vmwrite(VMCS_HOST_PAT, rdmsr(MSR_PAT));
}

static void swap_msr(u32 msr, u64 *other)
{
    u64 now = rdmsr(msr);

    if (now != *other)
        wrmsr(msr, *other);
    *other = now;
}

// Exchanges the MSRs that the CPU does not switch itself. The kernel needs none of them until it
// returns to user mode.
static void swap_msrs(struct vmx_vcpu *x)
{
    swap_msr(MSR_STAR, &x->star);
    swap_msr(MSR_LSTAR, &x->lstar);
    swap_msr(MSR_CSTAR, &x->cstar);
    swap_msr(MSR_SFMASK, &x->sfmask);
    swap_msr(MSR_KERNEL_GS_BASE, &x->kernel_gs_base);
}

static void vmx_vcpu_load(struct vcpu *v)
{
    if (vmx_of(v)->pdptes_stale)
        vmx_load_pdptes(v);
    vmx_begin(v);
    if (v->cpu != this_cpu()->id)
        invept(vmx_of(v)->eptp);
    v->cpu = this_cpu()->id;
    if (!root_partition)
        vmx_write_host_state();
    swap_msrs(vmx_of(v));
}

// A VM exit leaves the limits of GDTR and IDTR at 0xffff (SDM 3C, 27.5.2): they are set right here.
static void vmx_vcpu_put(struct vcpu *v)
{
    struct descriptor_table gdt, idt;

    swap_msrs(vmx_of(v));
    vmx_end(v, true);
    store_gdt(&gdt);
    gdt.limit = sizeof(this_cpu()->gdt) - 1;
    load_gdt(&gdt);
    store_idt(&idt);
    idt.limit = 256 * 16 - 1;
    load_idt(&idt);
}

static void vmx_flush(struct vcpu *v)
{
    invept(vmx_of(v)->eptp);
}

// An entry must not find "blocking by STI" with RFLAGS.IF clear (SDM 3C, 26.3.1.5), which
// KVM_SET_REGS can make; nor a shadow with RFLAGS.TF, which a debugger sets.
static void fix_interruptibility(struct vcpu *v)
{
    u64 blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);

    if (((blocking & BLOCKING_STI) && !(v->rflags & RFLAGS_IF)) ||
        (v->debug & KVM_GUESTDBG_SINGLESTEP))
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~(BLOCKING_STI | BLOCKING_MOV_SS));
}

static void vmx_enter(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);

    vmwrite(VMCS_GUEST_RSP, v->reg[RSP]);
    vmwrite(VMCS_GUEST_RIP, v->rip);
    vmwrite(VMCS_GUEST_RFLAGS, v->rflags);
    vmwrite(VMCS_GUEST_DR7, debug_dr7(v));
    vmwrite(VMCS_GUEST_PAT, v->pat);
    vmwrite(VMCS_TSC_OFFSET, v->tsc_offset);
    vmwrite(VMCS_PREEMPTION_TIMER, preemption_ticks);
    fix_interruptibility(v);
    write_cr2(x->cr2);
    write_dr6(v->dr6);

    bool refused = root_partition ? vmx_hypercall(ROOT_RUN, (u64)v->reg, x->launched)
                                  : vmx_switch(v->reg, x->launched);

    v->dr6 = read_dr6();
    x->cr2 = read_cr2();
    x->failure = refused ? vmread(VMCS_INSTRUCTION_ERROR) : 0;
    x->launched |= !refused;
    v->reg[RSP] = vmread(VMCS_GUEST_RSP);
    v->rip = vmread(VMCS_GUEST_RIP);
    v->rflags = vmread(VMCS_GUEST_RFLAGS);
    if (!(v->debug & KVM_GUESTDBG_USE_HW_BP))
        v->dr7 = vmread(VMCS_GUEST_DR7);
    v->pat = vmread(VMCS_GUEST_PAT);
}

static void vmx_inject(struct vcpu *v, const struct hv_event *e)
{
    bool begun = vmx_begin(v);

    if (e->type == EVENT_NMI) // the entry blocks the next one itself (SDM 3C, 26.3.1.5)
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~BLOCKING_NMI);
    vmwrite(VMCS_ENTRY_EVENT,
            e->vector | (u64)e->type << 8 | EVENT_VALID | (e->has_error ? EVENT_HAS_ERROR : 0));
    vmwrite(VMCS_ENTRY_ERROR, e->error);
    vmwrite(VMCS_ENTRY_LENGTH, e->length);
    vmx_end(v, begun);
}

static bool blocked_by(struct vcpu *v, u64 reasons)
{
    bool begun = vmx_begin(v);
    bool blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY) & reasons;
    vmx_end(v, begun);
    return blocked;
}

static bool vmx_irq_allowed(struct vcpu *v)
{
    return (v->rflags & RFLAGS_IF) && !blocked_by(v, BLOCKING_STI | BLOCKING_MOV_SS);
}

static bool vmx_nmi_allowed(struct vcpu *v)
{
    return !blocked_by(v, BLOCKING_STI | BLOCKING_MOV_SS | BLOCKING_NMI);
}

static void want_window(struct vcpu *v, u64 control, bool on)
{
    bool begun = vmx_begin(v);
    u64 controls = vmread(VMCS_CPU_CONTROLS),
        wanted = on ? controls | control : controls & ~control;

    if (wanted != controls)
        vmwrite(VMCS_CPU_CONTROLS, wanted);
    vmx_end(v, begun);
}

static void vmx_want_irq_window(struct vcpu *v, bool on)
{
    want_window(v, CPU_INTERRUPT_WINDOW, on);
}

static void vmx_debug_changed(struct vcpu *v)
{
    bool begun = vmx_begin(v);

    vmwrite(VMCS_EXCEPTION_BITMAP,
            BIT(VEC_DB) | BIT(VEC_AC) | (v->debug & KVM_GUESTDBG_USE_SW_BP ? BIT(VEC_BP) : 0));
    vmx_end(v, begun);
    want_window(v, CPU_MOV_DR, v->debug & KVM_GUESTDBG_USE_HW_BP);
}

static void vmx_want_nmi_window(struct vcpu *v, bool on)
{
    want_window(v, CPU_NMI_WINDOW, on);
}

static void vmx_get_blocking(struct vcpu *v, u8 *shadow, bool *nmi)
{
    bool begun = vmx_begin(v);
    u64 blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY);

    *shadow = (blocked & BLOCKING_STI ? KVM_X86_SHADOW_INT_STI : 0) |
              (blocked & BLOCKING_MOV_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0);
    *nmi = blocked & BLOCKING_NMI;
    vmx_end(v, begun);
}

// Entry fails with both shadows, or STI's while RFLAGS.IF is clear (SDM 3C, 26.3.1.5).
static void vmx_set_blocking(struct vcpu *v, u8 shadow, bool nmi)
{
    u64 blocked = nmi ? BLOCKING_NMI : 0;

    if (shadow & KVM_X86_SHADOW_INT_MOV_SS)
        blocked |= BLOCKING_MOV_SS;
    else if ((shadow & KVM_X86_SHADOW_INT_STI) && (v->rflags & RFLAGS_IF))
        blocked |= BLOCKING_STI;
    bool begun = vmx_begin(v);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocked);
    vmx_end(v, begun);
}

static void vmx_advance(struct vcpu *v, unsigned length)
{
    bool begun = vmx_begin(v);

    v->rip += length;
    if (!(vmread(VMCS_GUEST_CS_RIGHTS) & RIGHTS_L))
        v->rip = (u32)v->rip;
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
            vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(BLOCKING_STI | BLOCKING_MOV_SS));
    vmx_end(v, begun);
}

static u64 vmx_nested_entry(paddr_t pa, bool leaf, bool writable)
{
    return pa | EPT_READ | EPT_EXECUTE | (writable || !leaf ? EPT_WRITE : 0) |
           (leaf ? EPT_WRITE_BACK : 0);
}

const struct hv_ops vmx_ops = {
    .name = "vmx",
    .probe = vmx_probe,
    .vcpu_create = vmx_vcpu_create,
    .vcpu_destroy = vmx_vcpu_destroy,
    .vcpu_reset = vmx_vcpu_reset,
    .vcpu_load = vmx_vcpu_load,
    .vcpu_put = vmx_vcpu_put,
    .enter = vmx_enter,
    .decode_exit = vmx_decode_exit,
    .get_mode = vmx_get_mode,
    .get_sregs = vmx_get_sregs,
    .set_sregs = vmx_set_sregs,
    .get_msr = vmx_get_msr,
    .set_msr = vmx_set_msr,
    .inject = vmx_inject,
    .irq_allowed = vmx_irq_allowed,
    .want_irq_window = vmx_want_irq_window,
    .nmi_allowed = vmx_nmi_allowed,
    .want_nmi_window = vmx_want_nmi_window,
    .get_blocking = vmx_get_blocking,
    .set_blocking = vmx_set_blocking,
    .debug_changed = vmx_debug_changed,
    .advance = vmx_advance,
    .nested_entry = vmx_nested_entry,
    .flush = vmx_flush,
    .root_enter_cpu = vmx_root_enter_cpu,
};
