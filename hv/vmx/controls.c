// VM-execution, exit and entry controls: what this hypervisor wants, adjusted to what the CPU
// allows (SDM 3D, appendix A).

#include "hv/vmx/vmx.h"

#include "kernel/lib/string.h"
#include "kernel/x86/cpu.h"

#define PIN_WANTED (PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMIS | PIN_PREEMPTION_TIMER)
#define CPU_WANTED                                                                                 \
    (CPU_TSC_OFFSETTING | CPU_HLT | CPU_MWAIT | CPU_RDPMC | CPU_CR8_LOAD | CPU_CR8_STORE |         \
     CPU_UNCONDITIONAL_IO | CPU_MSR_BITMAPS | CPU_MONITOR | CPU_SECONDARY)
#define CPU2_WANTED (CPU2_EPT | CPU2_UNRESTRICTED | CPU2_WBINVD)
#define EXIT_WANTED                                                                                \
    (EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER |             \
     EXIT_LOAD_EFER)
#define ENTRY_WANTED (ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)

static u32 pin_controls, cpu_controls, cpu_controls2, exit_controls, entry_controls;
static u8 msr_bitmap[4096] __aligned(4096);

// Low half of a capability MSR: bits that must be 1; high half: bits that may be.
static bool adjust(u32 msr, u32 wanted, u32 *controls)
{
    u64 allowed = rdmsr(msr);

    *controls = (wanted | (u32)allowed) & (u32)(allowed >> 32);
    return (*controls & wanted) == wanted;
}

// MSRs that the CPU or the load and put of a vCPU switch pass through: a clear bit each for reads
// and for writes.
static void msr_bitmap_init(void)
{
    static const u32 switched[] = {
        MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR,    MSR_LSTAR,
        MSR_CSTAR,       MSR_SFMASK,       MSR_FS_BASE,      MSR_GS_BASE, MSR_KERNEL_GS_BASE};

    memset(msr_bitmap, 0xff, sizeof(msr_bitmap));
    for (unsigned i = 0; i < ARRAY_SIZE(switched); i++) {
        u32 base = switched[i] < 0x2000 ? 0 : 1024, bit = switched[i] & 0x1fff;
        msr_bitmap[base + bit / 8] &= ~(1 << bit % 8);
        msr_bitmap[2048 + base + bit / 8] &= ~(1 << bit % 8);
    }
}

const char *vmx_controls_probe(void)
{
    // The "true" capability MSRs follow the plain ones at this distance.
    u32 step = rdmsr(MSR_VMX_BASIC) & VMX_BASIC_TRUE_CONTROLS
                   ? MSR_VMX_TRUE_PINBASED - MSR_VMX_PINBASED
                   : 0;

    if (!adjust(MSR_VMX_PINBASED + step, PIN_WANTED, &pin_controls))
        return "VT-x has no virtual NMIs or no VMX preemption timer";
    if (!adjust(MSR_VMX_PROCBASED + step, CPU_WANTED, &cpu_controls))
        return "VT-x has no secondary controls or MSR bitmaps";
    if (!adjust(MSR_VMX_PROCBASED2, CPU2_WANTED, &cpu_controls2))
        return "VT-x has no EPT or no unrestricted guest";
    if (!(rdmsr(MSR_VMX_EPT_VPID_CAP) & EPT_HAS_2M))
        return "EPT has no 2 MiB pages";
    if (!adjust(MSR_VMX_EXIT + step, EXIT_WANTED, &exit_controls) ||
        !adjust(MSR_VMX_ENTRY + step, ENTRY_WANTED, &entry_controls))
        return "VT-x does not switch IA32_EFER and IA32_PAT";
    msr_bitmap_init();
    return NULL;
}

void vmx_controls_init(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);

    // With accessed and dirty flags a guest's page walk counts as a write (SDM 3C, 28.3.3.2), as it
    // does on AMD; Bochs does not see its setting of accessed bits as one otherwise.
    x->eptp = v->vm->nested_root | EPTP_WALK_4 | EPTP_WRITE_BACK;
    if (rdmsr(MSR_VMX_EPT_VPID_CAP) & EPT_HAS_ACCESSED_DIRTY)
        x->eptp |= EPTP_ACCESSED_DIRTY;
    x->entry_controls = entry_controls;
    vmwrite(VMCS_PIN_CONTROLS, pin_controls);
    vmwrite(VMCS_CPU_CONTROLS, cpu_controls);
    vmwrite(VMCS_CPU_CONTROLS2, cpu_controls2);
    vmwrite(VMCS_EXIT_CONTROLS, exit_controls);
    vmwrite(VMCS_ENTRY_CONTROLS, entry_controls);
    vmwrite(VMCS_EXCEPTION_BITMAP,
            BIT(1) | BIT(17)); // #DB and #AC: a guest can make their delivery endless
    vmwrite(VMCS_MSR_BITMAP, virt_to_phys(msr_bitmap));
    vmwrite(VMCS_EPT_POINTER, x->eptp);
    vmwrite(VMCS_LINK_POINTER, ~0UL);
    vmwrite(VMCS_CR3_TARGET_COUNT, 0);
    vmwrite(VMCS_HOST_RIP, (u64)vmx_exit_entry);
}

void vmx_root_controls(u64 eptp, paddr_t no_msrs)
{
    u32 step = rdmsr(MSR_VMX_BASIC) & VMX_BASIC_TRUE_CONTROLS
                   ? MSR_VMX_TRUE_PINBASED - MSR_VMX_PINBASED
                   : 0;
    u32 pin, processor, processor2, exit, entry;

    adjust(MSR_VMX_PINBASED + step, 0, &pin);
    adjust(MSR_VMX_PROCBASED + step, CPU_MSR_BITMAPS | CPU_SECONDARY, &processor);
    adjust(MSR_VMX_PROCBASED2, CPU2_EPT | CPU2_RDTSCP | CPU2_INVPCID | CPU2_XSAVES, &processor2);
    adjust(MSR_VMX_EXIT + step, EXIT_WANTED, &exit);
    adjust(MSR_VMX_ENTRY + step, ENTRY_WANTED | ENTRY_GUEST_64, &entry);
    cpu_vmwrite(VMCS_PIN_CONTROLS, pin);
    cpu_vmwrite(VMCS_CPU_CONTROLS, processor);
    cpu_vmwrite(VMCS_CPU_CONTROLS2, processor2);
    cpu_vmwrite(VMCS_EXIT_CONTROLS, exit);
    cpu_vmwrite(VMCS_ENTRY_CONTROLS, entry);
    cpu_vmwrite(VMCS_MSR_BITMAP, no_msrs);
    cpu_vmwrite(VMCS_EPT_POINTER, eptp);
    cpu_vmwrite(VMCS_LINK_POINTER, ~0UL);
    cpu_vmwrite(VMCS_HOST_RIP, (u64)vmx_exit_entry);
}
