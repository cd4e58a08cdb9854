// The hypervisor below the root partition on Intel: one loop a CPU. All interrupts and devices are
// the root partition's; it comes here for CPUID, for the VMX instructions on its children's VMCSs,
// and when it does what is not its business.

#include "hv/root.h"
#include "hv/vmx/vmx.h"

#include "kernel/lib/string.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/descriptors.h"
#include "kernel/x86/log.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/trap.h"

#define RIGHTS_CODE 0xa09b // type 11, S, P, L, G: SDM 3C, 24.4.1
#define RIGHTS_DATA 0xc093
#define RIGHTS_TSS 0x8b
#define STACK_PAGES 3

struct vmx_root {
    u8 vmxon[PAGE_SIZE], vmcs[PAGE_SIZE];
    u8 no_msrs[PAGE_SIZE]; // an MSR bitmap with nothing in it: no access exits
    u8 stack[STACK_PAGES * PAGE_SIZE];
    u64 reg[GPRS];
    struct root_entry entry;
    paddr_t child; // the VMCS that is current for the root partition
};

#define ROOT_PAGES ((sizeof(struct vmx_root) + PAGE_SIZE - 1) / PAGE_SIZE)

// ES, CS, SS, DS, FS, GS; LDTR has none, TR is this CPU's.
static void save_segments(void)
{
    for (unsigned i = 0; i < 6; i++) {
        bool code = VMCS_GUEST_ES + 2 * i == VMCS_GUEST_CS;
        cpu_vmwrite(VMCS_GUEST_ES + 2 * i, code ? SEL_KERNEL_CODE : SEL_KERNEL_DATA);
        cpu_vmwrite(VMCS_GUEST_ES_LIMIT + 2 * i, ~0U);
        cpu_vmwrite(VMCS_GUEST_ES_RIGHTS + 2 * i, code ? RIGHTS_CODE : RIGHTS_DATA);
        cpu_vmwrite(VMCS_GUEST_ES_BASE + 2 * i, 0);
    }
    cpu_vmwrite(VMCS_GUEST_FS_BASE, rdmsr(MSR_FS_BASE));
    cpu_vmwrite(VMCS_GUEST_GS_BASE, rdmsr(MSR_GS_BASE));
    cpu_vmwrite(VMCS_GUEST_LDTR_RIGHTS, RIGHTS_UNUSABLE);
    cpu_vmwrite(VMCS_GUEST_TR, SEL_TSS);
    cpu_vmwrite(VMCS_GUEST_TR_LIMIT, sizeof(struct tss) - 1);
    cpu_vmwrite(VMCS_GUEST_TR_RIGHTS, RIGHTS_TSS);
    cpu_vmwrite(VMCS_GUEST_TR_BASE, (u64)&this_cpu()->tss);
}

// This CPU's state as it is now. VMXE is the hypervisor's: the root partition neither sees nor
// changes it.
static void save_state(void)
{
    struct descriptor_table gdt, idt;

    store_gdt(&gdt);
    store_idt(&idt);
    save_segments();
    cpu_vmwrite(VMCS_GUEST_GDTR_BASE, gdt.base);
    cpu_vmwrite(VMCS_GUEST_GDTR_LIMIT, gdt.limit);
    cpu_vmwrite(VMCS_GUEST_IDTR_BASE, idt.base);
    cpu_vmwrite(VMCS_GUEST_IDTR_LIMIT, idt.limit);
    cpu_vmwrite(VMCS_GUEST_CR0, read_cr0());
    cpu_vmwrite(VMCS_GUEST_CR3, read_cr3());
    cpu_vmwrite(VMCS_GUEST_CR4, read_cr4());
    cpu_vmwrite(VMCS_CR4_MASK, CR4_VMXE);
    cpu_vmwrite(VMCS_CR4_SHADOW, 0);
    cpu_vmwrite(VMCS_GUEST_EFER, rdmsr(MSR_EFER));
    cpu_vmwrite(VMCS_GUEST_PAT, rdmsr(MSR_PAT));
    cpu_vmwrite(VMCS_GUEST_SYSENTER_CS, rdmsr(MSR_SYSENTER_CS));
    cpu_vmwrite(VMCS_GUEST_SYSENTER_ESP, rdmsr(MSR_SYSENTER_ESP));
    cpu_vmwrite(VMCS_GUEST_SYSENTER_EIP, rdmsr(MSR_SYSENTER_EIP));
    cpu_vmwrite(VMCS_GUEST_DR7, DR7_INIT);
    cpu_vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
}

static void raise(u8 vector)
{
    cpu_vmwrite(VMCS_ENTRY_EVENT, vector | EVENT_EXCEPTION << 8 | EVENT_VALID);
}

static void step(void)
{
    cpu_vmwrite(VMCS_GUEST_RIP, cpu_vmread(VMCS_GUEST_RIP) + cpu_vmread(VMCS_EXIT_LENGTH));
}

static paddr_t checked_child(paddr_t vmcs)
{
    if ((vmcs & ~PAGE_MASK) || root_owns(vmcs, PAGE_SIZE))
        panic("viv.root: the root partition named a VMCS at %#lx", vmcs);
    return vmcs;
}

// A VM exit of the child comes to the hypervisor, whatever its VMCS said before. The child's EPT is
// the parent's work and is not looked into.
static u64 run_child(u64 *reg, bool launched)
{
    vmx_write_host_state();
    cpu_vmwrite(VMCS_HOST_RIP, (u64)vmx_exit_entry);
    return vmx_switch(reg, launched);
}

static u64 child_hypercall(u64 call, u64 a, u64 b)
{
    switch (call) {
    case ROOT_RUN:
        return run_child((u64 *)a, b);
    case ROOT_VMREAD:
        return cpu_vmread(a);
    default:
        cpu_vmwrite(a, b);
        return 0;
    }
}

static void hypercall(struct vmx_root *r)
{
    u64 call = r->reg[RAX], a = r->reg[RDI], b = r->reg[RSI];

    switch (call) {
    case ROOT_VMCLEAR:
        cpu_vmclear(checked_child(a));
        break;
    case ROOT_VMPTRLD:
        r->child = checked_child(a);
        break;
    case ROOT_INVEPT:
        cpu_invept(a);
        break;
    case ROOT_RUN:
    case ROOT_VMREAD:
    case ROOT_VMWRITE:
        cpu_vmptrld(r->child);
        r->reg[RAX] = child_hypercall(call, a, b);
        cpu_vmptrld(virt_to_phys(r->vmcs));
        break;
    default:
        raise(VEC_UD);
        return;
    }
    step();
}

static void handle_root_exit(struct vmx_root *r)
{
    u32 reason = cpu_vmread(VMCS_EXIT_REASON);

    switch (reason) {
    case REASON_CPUID:
        root_cpuid(r->reg);
        step();
        break;
    case REASON_XSETBV:
        xsetbv(r->reg[RCX], (u32)r->reg[RAX] | r->reg[RDX] << 32);
        step();
        break;
    case REASON_INVD:
        asm volatile("wbinvd");
        step();
        break;
    case REASON_VMCALL:
        if (cpu_vmread(VMCS_GUEST_SS_RIGHTS) >> 5 & 3)
            raise(VEC_UD);
        else
            hypercall(r);
        break;
    case REASON_GETSEC:
    case REASON_VMCLEAR ... REASON_VMXON:
    case REASON_INVEPT:
    case REASON_INVVPID:
        raise(VEC_UD);
        break;
    case REASON_EPT_VIOLATION:
        panic("viv.root: the root partition reached for %#lx, the hypervisor's, at %#lx",
              cpu_vmread(VMCS_GUEST_PHYSICAL), cpu_vmread(VMCS_GUEST_RIP));
    default:
        panic("viv.root: the root partition ended with exit reason %#x at %#lx", reason,
              cpu_vmread(VMCS_GUEST_RIP));
    }
}

static void run_root(void *root)
{
    struct vmx_root *r = root;

    cpu_vmwrite(VMCS_GUEST_RSP, r->entry.rsp);
    cpu_vmwrite(VMCS_GUEST_RIP, r->entry.rip);
    for (bool launched = false;; launched = true) {
        if (vmx_switch(r->reg, launched))
            panic("viv.root: the CPU refused the root partition, VM-instruction error %lu",
                  cpu_vmread(VMCS_INSTRUCTION_ERROR));
        handle_root_exit(r);
    }
}

void vmx_root_enter_cpu(void)
{
    struct vmx_root *r = root_alloc(ROOT_PAGES);

    vmx_cpu_enable(r->vmxon);
    *(u32 *)r->vmcs = rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
    cpu_vmclear(virt_to_phys(r->vmcs));
    cpu_vmptrld(virt_to_phys(r->vmcs));
    vmx_root_controls(root_nested | EPTP_WALK_4 | EPTP_WRITE_BACK, virt_to_phys(r->no_msrs));
    vmx_write_host_state();
    save_state();
    root_launch(r, &r->entry, r->stack + sizeof(r->stack), run_root);
}
