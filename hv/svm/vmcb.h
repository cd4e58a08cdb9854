// The virtual machine control block (APM 2, appendix B) and the instructions of SVM (APM 3).
#pragma once
#include "kernel/lib/types.h"

struct vmcb_segment {
    u16 selector, attributes;
    u32 limit;
    u64 base;
};

#define ATTRIBUTE_L BIT(9)
#define ATTRIBUTE_DB BIT(10)

struct vmcb {
    // Control area.
    u16 intercept_cr_read, intercept_cr_write, intercept_dr_read, intercept_dr_write;
    u32 intercept_exceptions;
    u32 intercept1, intercept2, intercept3;
    u8 reserved1[0x3c - 0x18];
    u16 pause_threshold, pause_count;
    u64 iopm_base, msrpm_base, tsc_offset;
    u32 asid;
    u8 tlb_control, reserved2[3];
    u64 virtual_interrupt; // V_*
    u64 interrupt_shadow;
    u64 exit_code, exit_info1, exit_info2, exit_int_info;
    u64 nested_control;
    u8 reserved3[0xa8 - 0x98];
    u64 event_injection;
    u64 nested_cr3, lbr_control;
    u32 clean, reserved4;
    u64 next_rip;
    u8 bytes_fetched, bytes[15];
    u8 reserved5[0x400 - 0xe0];
    // State save area.
    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    u8 reserved6[0x4cb - 0x4a0];
    u8 cpl;
    u32 reserved7;
    u64 efer;
    u8 reserved8[0x548 - 0x4d8];
    u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
    u8 reserved9[0x5d8 - 0x580];
    u64 rsp, s_cet, ssp, isst, rax;
    u64 star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    u8 reserved10[0x668 - 0x648];
    u64 g_pat;
    u8 reserved11[0x1000 - 0x670];
};

static_assert(sizeof(struct vmcb) == 4096, "a VMCB is a page");
static_assert(offsetof(struct vmcb, iopm_base) == 0x40, "APM 2, table B-1");
static_assert(offsetof(struct vmcb, asid) == 0x58, "APM 2, table B-1");
static_assert(offsetof(struct vmcb, exit_code) == 0x70, "APM 2, table B-1");
static_assert(offsetof(struct vmcb, event_injection) == 0xa8, "APM 2, table B-1");
static_assert(offsetof(struct vmcb, next_rip) == 0xc8, "APM 2, table B-1");
static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "APM 2, table B-2");
static_assert(offsetof(struct vmcb, efer) == 0x4d0, "APM 2, table B-2");
static_assert(offsetof(struct vmcb, cr4) == 0x548, "APM 2, table B-2");
static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "APM 2, table B-2");
static_assert(offsetof(struct vmcb, cr2) == 0x640, "APM 2, table B-2");
static_assert(offsetof(struct vmcb, g_pat) == 0x668, "APM 2, table B-2");

// intercept1
#define INTERCEPT_INTR BIT(0)
#define INTERCEPT_NMI BIT(1)
#define INTERCEPT_SMI BIT(2)
#define INTERCEPT_INIT BIT(3)
#define INTERCEPT_VINTR BIT(4)
#define INTERCEPT_RDPMC BIT(15)
#define INTERCEPT_IRET BIT(20)
#define INTERCEPT_CPUID BIT(18)
#define INTERCEPT_INTN BIT(21)
#define INTERCEPT_INVD BIT(22)
#define INTERCEPT_HLT BIT(24)
#define INTERCEPT_INVLPGA BIT(26)
#define INTERCEPT_IO BIT(27)
#define INTERCEPT_MSR BIT(28)
#define INTERCEPT_TASK_SWITCH BIT(29)
#define INTERCEPT_FERR_FREEZE BIT(30)
#define INTERCEPT_SHUTDOWN BIT(31)
// intercept2
#define INTERCEPT_VMRUN BIT(0)
#define INTERCEPT_VMMCALL BIT(1)
#define INTERCEPT_VMLOAD BIT(2)
#define INTERCEPT_VMSAVE BIT(3)
#define INTERCEPT_STGI BIT(4)
#define INTERCEPT_CLGI BIT(5)
#define INTERCEPT_SKINIT BIT(6)
#define INTERCEPT_WBINVD BIT(9)
#define INTERCEPT_MONITOR BIT(10)
#define INTERCEPT_MWAIT BIT(11)
#define INTERCEPT_MWAIT_ARMED BIT(12)
#define INTERCEPT_XSETBV BIT(13)

#define TLB_FLUSH_ALL 1
#define V_TPR 0xffUL
#define V_IRQ BIT(8)
#define V_INTR_PRIO (15UL << 16)
#define V_IGN_TPR BIT(20)
#define V_INTR_MASKING BIT(24)
#define V_VECTOR_SHIFT 32
#define V_VECTOR (0xffUL << V_VECTOR_SHIFT)
#define SHADOW BIT(0)
#define NP_ENABLE BIT(0)

// Exit codes (APM 2, appendix C).
#define VMEXIT_CR4_WRITE 0x14
#define VMEXIT_CR8_WRITE 0x18
#define VMEXIT_DR0_READ 0x20
#define VMEXIT_DR0_WRITE 0x30
#define VMEXIT_DR7_WRITE 0x37
#define VMEXIT_EXCEPTION 0x40
#define VMEXIT_INTR 0x60
#define VMEXIT_NMI 0x61
#define VMEXIT_SMI 0x62
#define VMEXIT_INIT 0x63
#define VMEXIT_VINTR 0x64
#define VMEXIT_RDPMC 0x6f
#define VMEXIT_CPUID 0x72
#define VMEXIT_IRET 0x74
#define VMEXIT_SWINT 0x75
#define VMEXIT_INVD 0x76
#define VMEXIT_HLT 0x78
#define VMEXIT_INVLPGA 0x7a
#define VMEXIT_IOIO 0x7b
#define VMEXIT_MSR 0x7c
#define VMEXIT_SHUTDOWN 0x7f
#define VMEXIT_VMRUN 0x80
#define VMEXIT_VMMCALL 0x81
#define VMEXIT_VMLOAD 0x82
#define VMEXIT_SKINIT 0x86
#define VMEXIT_WBINVD 0x89
#define VMEXIT_MONITOR 0x8a
#define VMEXIT_MWAIT_ARMED 0x8c
#define VMEXIT_XSETBV 0x8d
#define VMEXIT_NPF 0x400
#define VMEXIT_INVALID 0xffffffff // the low 32 bits of -1: some CPUs report no more

#define EVENT_VALID BIT(31)
#define EVENT_HAS_ERROR BIT(11)

#define MSR_VM_CR 0xc0010114
#define VM_CR_SVMDIS BIT(4)
#define MSR_VM_HSAVE_PA 0xc0010117

static inline void vmsave(paddr_t vmcb)
{
    asm volatile("vmsave %0" : : "a"(vmcb) : "memory");
}

// switch.S: VMLOAD, VMRUN, VMSAVE on the guest's VMCB and back to the host's; general registers
// from and to reg[16] (RAX and RSP are the VMCB's). Interrupts off before and after; between them
// GIF is 0 and IF is 1, so that a host interrupt ends the guest and waits.
void svm_switch(paddr_t guest, paddr_t host, u64 *reg);
