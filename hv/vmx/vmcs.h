// The VMCS: field encodings (SDM 3D, appendix B), controls (3C, 24.6), exit reasons (3D, appendix
// C), and VMX's instructions.
#pragma once
#include "kernel/lib/types.h"

// Fields.
#define VMCS_GUEST_ES                                                                              \
    0x0800 // selectors ES CS SS DS FS GS LDTR TR, two apart; limits, rights and bases likewise
#define VMCS_GUEST_CS 0x0802
#define VMCS_GUEST_LDTR 0x080c
#define VMCS_GUEST_TR 0x080e
#define VMCS_HOST_ES 0x0c00
#define VMCS_HOST_CS 0x0c02
#define VMCS_HOST_SS 0x0c04
#define VMCS_HOST_DS 0x0c06
#define VMCS_HOST_FS 0x0c08
#define VMCS_HOST_GS 0x0c0a
#define VMCS_HOST_TR 0x0c0c
#define VMCS_MSR_BITMAP 0x2004
#define VMCS_TSC_OFFSET 0x2010
#define VMCS_EPT_POINTER 0x201a
#define VMCS_GUEST_PHYSICAL 0x2400
#define VMCS_LINK_POINTER 0x2800
#define VMCS_GUEST_DEBUGCTL 0x2802
#define VMCS_GUEST_PAT 0x2804
#define VMCS_GUEST_EFER 0x2806
#define VMCS_GUEST_PDPTE0 0x280a
#define VMCS_HOST_PAT 0x2c00
#define VMCS_HOST_EFER 0x2c02
#define VMCS_PIN_CONTROLS 0x4000
#define VMCS_CPU_CONTROLS 0x4002
#define VMCS_EXCEPTION_BITMAP 0x4004
#define VMCS_CR3_TARGET_COUNT 0x400a
#define VMCS_EXIT_CONTROLS 0x400c
#define VMCS_ENTRY_CONTROLS 0x4012
#define VMCS_ENTRY_EVENT 0x4016
#define VMCS_ENTRY_ERROR 0x4018
#define VMCS_ENTRY_LENGTH 0x401a
#define VMCS_CPU_CONTROLS2 0x401e
#define VMCS_INSTRUCTION_ERROR 0x4400
#define VMCS_EXIT_REASON 0x4402
#define VMCS_EXIT_INTERRUPTION 0x4404
#define VMCS_EXIT_INTERRUPTION_ERROR 0x4406
#define VMCS_IDT_VECTORING 0x4408
#define VMCS_IDT_VECTORING_ERROR 0x440a
#define VMCS_EXIT_LENGTH 0x440c
#define VMCS_INSTRUCTION_INFO 0x440e
#define VMCS_GUEST_ES_LIMIT 0x4800
#define VMCS_GUEST_TR_LIMIT 0x480e
#define VMCS_GUEST_GDTR_LIMIT 0x4810
#define VMCS_GUEST_IDTR_LIMIT 0x4812
#define VMCS_GUEST_ES_RIGHTS 0x4814
#define VMCS_GUEST_CS_RIGHTS 0x4816
#define VMCS_GUEST_SS_RIGHTS 0x4818
#define VMCS_GUEST_LDTR_RIGHTS 0x4820
#define VMCS_GUEST_TR_RIGHTS 0x4822
#define VMCS_GUEST_INTERRUPTIBILITY 0x4824
#define VMCS_GUEST_ACTIVITY 0x4826
#define VMCS_GUEST_SYSENTER_CS 0x482a
#define VMCS_PREEMPTION_TIMER 0x482e
#define VMCS_HOST_SYSENTER_CS 0x4c00
#define VMCS_CR0_MASK 0x6000
#define VMCS_CR4_MASK 0x6002
#define VMCS_CR0_SHADOW 0x6004
#define VMCS_CR4_SHADOW 0x6006
#define VMCS_EXIT_QUALIFICATION 0x6400
#define VMCS_GUEST_CR0 0x6800
#define VMCS_GUEST_CR3 0x6802
#define VMCS_GUEST_CR4 0x6804
#define VMCS_GUEST_ES_BASE 0x6806
#define VMCS_GUEST_CS_BASE 0x6808
#define VMCS_GUEST_FS_BASE 0x680e
#define VMCS_GUEST_GS_BASE 0x6810
#define VMCS_GUEST_TR_BASE 0x6814
#define VMCS_GUEST_GDTR_BASE 0x6816
#define VMCS_GUEST_IDTR_BASE 0x6818
#define VMCS_GUEST_DR7 0x681a
#define VMCS_GUEST_RSP 0x681c
#define VMCS_GUEST_RIP 0x681e
#define VMCS_GUEST_RFLAGS 0x6820
#define VMCS_GUEST_PENDING_DEBUG 0x6822
#define VMCS_GUEST_SYSENTER_ESP 0x6824
#define VMCS_GUEST_SYSENTER_EIP 0x6826
#define VMCS_HOST_CR0 0x6c00
#define VMCS_HOST_CR3 0x6c02
#define VMCS_HOST_CR4 0x6c04
#define VMCS_HOST_FS_BASE 0x6c06
#define VMCS_HOST_GS_BASE 0x6c08
#define VMCS_HOST_TR_BASE 0x6c0a
#define VMCS_HOST_GDTR_BASE 0x6c0c
#define VMCS_HOST_IDTR_BASE 0x6c0e
#define VMCS_HOST_SYSENTER_ESP 0x6c10
#define VMCS_HOST_SYSENTER_EIP 0x6c12
#define VMCS_HOST_RSP 0x6c14
#define VMCS_HOST_RIP 0x6c16

// Controls.
#define PIN_EXTERNAL_INTERRUPT BIT(0)
#define PIN_NMI BIT(3)
#define PIN_VIRTUAL_NMIS BIT(5)
#define PIN_PREEMPTION_TIMER BIT(6)
#define CPU_INTERRUPT_WINDOW BIT(2)
#define CPU_TSC_OFFSETTING BIT(3)
#define CPU_HLT BIT(7)
#define CPU_MWAIT BIT(10)
#define CPU_RDPMC BIT(11)
#define CPU_CR3_LOAD BIT(15)
#define CPU_CR3_STORE BIT(16)
#define CPU_CR8_LOAD BIT(19)
#define CPU_CR8_STORE BIT(20)
#define CPU_NMI_WINDOW BIT(22)
#define CPU_MOV_DR BIT(23)
#define CPU_UNCONDITIONAL_IO BIT(24)
#define CPU_MSR_BITMAPS BIT(28)
#define CPU_MONITOR BIT(29)
#define CPU_SECONDARY BIT(31)
#define CPU2_EPT BIT(1)
#define CPU2_RDTSCP BIT(3)
#define CPU2_WBINVD BIT(6)
#define CPU2_UNRESTRICTED BIT(7)
#define CPU2_INVPCID BIT(12)
#define CPU2_XSAVES BIT(20)
#define EXIT_SAVE_DEBUG BIT(2)
#define EXIT_HOST_64 BIT(9)
#define EXIT_SAVE_PAT BIT(18)
#define EXIT_LOAD_PAT BIT(19)
#define EXIT_SAVE_EFER BIT(20)
#define EXIT_LOAD_EFER BIT(21)
#define ENTRY_LOAD_DEBUG BIT(2)
#define ENTRY_GUEST_64 BIT(9)
#define ENTRY_LOAD_PAT BIT(14)
#define ENTRY_LOAD_EFER BIT(15)

#define MSR_VMX_BASIC 0x480
#define MSR_VMX_PINBASED 0x481
#define MSR_VMX_PROCBASED 0x482
#define MSR_VMX_EXIT 0x483
#define MSR_VMX_ENTRY 0x484
#define MSR_VMX_MISC 0x485
#define MSR_VMX_CR0_FIXED0 0x486
#define MSR_VMX_CR4_FIXED0 0x488
#define MSR_VMX_PROCBASED2 0x48b
#define MSR_VMX_EPT_VPID_CAP 0x48c
#define MSR_VMX_TRUE_PINBASED 0x48d
#define VMX_BASIC_TRUE_CONTROLS BIT(55)
#define FEATURE_CONTROL_LOCKED BIT(0)
#define FEATURE_CONTROL_VMXON BIT(2)

// Segment rights beside the descriptor's bits (SDM 3C, 24.4.1).
#define RIGHTS_L BIT(13)
#define RIGHTS_DB BIT(14)
#define RIGHTS_UNUSABLE BIT(16)
#define BLOCKING_STI BIT(0)
#define BLOCKING_MOV_SS BIT(1)
#define BLOCKING_NMI BIT(3)
#define NMI_UNBLOCKED BIT(12) // in a qualification: an IRET had ended the blocking when it faulted
#define EVENT_VALID BIT(31)
#define EVENT_HAS_ERROR BIT(11)
#define EPTP_WRITE_BACK 6
#define EPTP_WALK_4 (3 << 3)
#define EPTP_ACCESSED_DIRTY BIT(6)
#define EPT_HAS_2M BIT(16) // of MSR_VMX_EPT_VPID_CAP
#define EPT_HAS_ACCESSED_DIRTY BIT(21)
#define EPT_READ BIT(0)
#define EPT_WRITE BIT(1)
#define EPT_EXECUTE BIT(2)
#define EPT_WRITE_BACK (6 << 3)

// Basic exit reasons.
enum vmx_reason {
    REASON_EXCEPTION_NMI = 0,
    REASON_EXTERNAL_INTERRUPT = 1,
    REASON_TRIPLE_FAULT = 2,
    REASON_INIT = 3,
    REASON_INTERRUPT_WINDOW = 7,
    REASON_NMI_WINDOW = 8,
    REASON_TASK_SWITCH = 9,
    REASON_CPUID = 10,
    REASON_GETSEC = 11,
    REASON_HLT = 12,
    REASON_INVD = 13,
    REASON_RDPMC = 15,
    REASON_VMCALL = 18,
    REASON_VMCLEAR = 19,
    REASON_VMXON = 27,
    REASON_CR = 28,
    REASON_DR = 29,
    REASON_IO = 30,
    REASON_RDMSR = 31,
    REASON_WRMSR = 32,
    REASON_MWAIT = 36,
    REASON_MONITOR = 39,
    REASON_EPT_VIOLATION = 48,
    REASON_INVEPT = 50,
    REASON_PREEMPTION_TIMER = 52,
    REASON_INVVPID = 53,
    REASON_WBINVD = 54,
    REASON_XSETBV = 55,
};
#define REASON_ENTRY_FAILED BIT(31)

// The instructions themselves; hv/vmx/vmx.h has what the backend uses.
static inline u64 cpu_vmread(u64 field)
{
    u64 value;
    asm volatile("vmread %1, %0" : "=rm"(value) : "r"(field) : "cc");
    return value;
}

static inline void cpu_vmwrite(u64 field, u64 value)
{
    asm volatile("vmwrite %1, %0" : : "r"(field), "rm"(value) : "cc");
}

static inline bool vmxon(paddr_t region)
{
    bool failed;
    asm volatile("vmxon %1" : "=@ccbe"(failed) : "m"(region) : "memory");
    return !failed;
}

static inline void cpu_vmclear(paddr_t vmcs)
{
    asm volatile("vmclear %0" : : "m"(vmcs) : "memory", "cc");
}

static inline void cpu_vmptrld(paddr_t vmcs)
{
    asm volatile("vmptrld %0" : : "m"(vmcs) : "memory", "cc");
}

// Single-context invalidation of what was cached from this EPT pointer.
static inline void cpu_invept(u64 eptp)
{
    struct {
        u64 eptp, reserved;
    } descriptor = {eptp, 0};
    asm volatile("invept %0, %1" : : "m"(descriptor), "r"(1UL) : "memory", "cc");
}

static inline void software_nmi(void)
{
    asm volatile("int $2");
}

// switch.S: VMLAUNCH or VMRESUME of the current VMCS with general registers from and to reg[16].
// True if the CPU refused (VMfail); exits of every kind, a failed entry too, give false.
bool vmx_switch(u64 *reg, bool launched);
extern const char vmx_exit_entry[]; // HOST_RIP
