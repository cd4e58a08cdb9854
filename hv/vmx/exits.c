// From the exit reason and its qualification to the common struct hv_exit; control-register
// accesses are answered here.

#include "hv/vmx/vmx.h"

#include "hv/exits.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/trap.h"

// An event whose delivery ended in this exit comes again. Software events need their instruction's
// length.
static void save_interrupted_event(struct vcpu *v)
{
    u64 info = vmread(VMCS_IDT_VECTORING);

    if (!(info & EVENT_VALID))
        return;
    v->pending = (struct hv_event){
        .valid = true, .vector = info, .type = info >> 8 & 7, .has_error = info & EVENT_HAS_ERROR};
    if (v->pending.has_error)
        v->pending.error = vmread(VMCS_IDT_VECTORING_ERROR);
    if (v->pending.type >= EVENT_SOFT_INT)
        v->pending.length = vmread(VMCS_EXIT_LENGTH);
}

static void decode_io(struct vcpu *v)
{
    u64 q = vmread(VMCS_EXIT_QUALIFICATION);

    v->exit.kind = HV_EXIT_IO;
    v->exit.io.size = (q & 7) + 1;
    v->exit.io.in = q & BIT(3);
    v->exit.io.string = q & BIT(4);
    v->exit.io.rep = q & BIT(5);
    v->exit.io.port = q >> 16;
    if (v->exit.io.string) {
        u64 info = vmread(VMCS_INSTRUCTION_INFO);
        v->exit.io.address_size = 2 << (info >> 7 & 7);
        v->exit.io.segment = info >> 15 & 7;
    }
}

// The guest's CR0 after a write that touches what the host owns. Entering and leaving long mode is
// ours then (SDM 3A, 9.8.5).
static bool write_cr0_exit(struct vcpu *v, u64 value)
{
    u64 old = vmx_get_cr0(), efer = vmread(VMCS_GUEST_EFER);

    if ((value >> 32) || ((value & CR0_PG) && !(value & CR0_PE)) ||
        ((value & CR0_NW) && !(value & CR0_CD)))
        return false;
    if ((value & ~old & CR0_PG) && (efer & EFER_LME)) {
        if (!(vmx_get_cr4() & CR4_PAE))
            return false;
        vmx_set_efer(v, efer | EFER_LMA);
    } else if ((old & ~value & CR0_PG) && (efer & EFER_LMA)) {
        vmx_set_efer(v, efer & ~EFER_LMA);
    }
    vmx_set_cr0(v, value | CR0_ET);
    vmx_of(v)->pdptes_stale = true;
    vcpu_put(v); // the next load reads the PDPTEs
    return true;
}

// The only writes of CR4 that exit set a bit that the guest must not have.
static bool write_cr_exit(struct vcpu *v, unsigned cr, u64 value)
{
    if (cr == 0)
        return write_cr0_exit(v, value);
    if (cr == 8 && value < 16) {
        vcpu_set_cr8(v, value);
        return true;
    }
    return false;
}

// SDM 3C, table 27-3: number in bits 3:0, access in 5:4, register in 11:8, LMSW's source in 31:16.
static void control_register(struct vcpu *v)
{
    u64 q = vmread(VMCS_EXIT_QUALIFICATION), cr0 = vmx_get_cr0();
    unsigned cr = q & 15, gpr = q >> 8 & 15;
    bool ok = true;

    switch (q >> 4 & 3) {
    case 0: // MOV to CR
        ok = write_cr_exit(v, cr, v->reg[gpr]);
        break;
    case 1: // MOV from CR: only CR8 exits
        v->reg[gpr] = v->cr8;
        break;
    case 2: // CLTS
        vmx_set_cr0(v, cr0 & ~CR0_TS);
        break;
    case 3: // LMSW sets PE and cannot clear it
        ok = write_cr0_exit(v, (cr0 & ~0xeUL) | (q >> 16 & 15));
        break;
    }
    v->exit.kind = HV_EXIT_HANDLED;
    if (ok)
        vcpu_advance(v, v->exit.length);
    else
        inject_exception(v, VEC_GP, true, 0);
}

// An NMI of the host has been taken off the CPU by the exit: hand it to the host. Exceptions that
// we intercept go to the guest; #DB brings the bits that DR6 would have got (SDM 3C, 27.2.1).
static void exception_or_nmi(struct vcpu *v)
{
    u64 info = vmread(VMCS_EXIT_INTERRUPTION);
    u8 vector = info;

    if (vector == VEC_NMI) {
        v->exit.kind = HV_EXIT_HOST_EVENT;
        software_nmi();
        return;
    }
    u64 blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_STI | BLOCKING_MOV_SS);
    if ((info >> 8 & 7) == EVENT_PRIV_SOFT) // INT1: a #DB behind the instruction
        hv_ops->advance(v, vmread(VMCS_EXIT_LENGTH));
    else if (vector == VEC_DB && blocking && (v->rflags & RFLAGS_TF)) // 26.3.1.5 asks for it
        vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | DR6_BS);
    u64 old = v->debug ? DR6_INIT : v->dr6 & ~0xfUL;
    decode_exception(v, vector, old | vmread(VMCS_EXIT_QUALIFICATION) | DR6_INIT);
}

static enum hv_exit_kind simple_kind(u32 reason)
{
    switch (reason) {
    case REASON_EXTERNAL_INTERRUPT:
    case REASON_INIT:
    case REASON_PREEMPTION_TIMER:
        return HV_EXIT_HOST_EVENT;
    case REASON_NMI_WINDOW:
        return HV_EXIT_HANDLED;
    case REASON_TRIPLE_FAULT:
        return HV_EXIT_SHUTDOWN;
    case REASON_INTERRUPT_WINDOW:
        return HV_EXIT_IRQ_WINDOW;
    case REASON_CPUID:
        return HV_EXIT_CPUID;
    case REASON_HLT:
        return HV_EXIT_HLT;
    case REASON_INVD:
    case REASON_WBINVD:
        return HV_EXIT_SKIP;
    case REASON_RDMSR:
        return HV_EXIT_RDMSR;
    case REASON_WRMSR:
        return HV_EXIT_WRMSR;
    case REASON_XSETBV:
        return HV_EXIT_XSETBV;
    case REASON_VMCALL:
        return HV_EXIT_HYPERCALL;
    case REASON_GETSEC:
    case REASON_RDPMC:
    case REASON_VMCALL + 1 ... REASON_VMXON:
    case REASON_INVEPT:
    case REASON_INVVPID:
        return HV_EXIT_UNDEFINED;
    case REASON_MWAIT:
    case REASON_MONITOR:
        return HV_EXIT_MWAIT;
    default:
        return HV_EXIT_UNKNOWN;
    }
}

static void decode_reason(struct vcpu *v, u32 reason)
{
    switch (reason) {
    case REASON_EXCEPTION_NMI:
        exception_or_nmi(v);
        return;
    case REASON_CR:
        v->exit.length = vmread(VMCS_EXIT_LENGTH);
        control_register(v);
        return;
    case REASON_DR: { // SDM 3C, table 27-4
        u64 q = vmread(VMCS_EXIT_QUALIFICATION);
        decode_mov_dr(v, q & 7, &v->reg[q >> 8 & 15], !(q & BIT(4)), vmread(VMCS_EXIT_LENGTH));
        return;
    }
    case REASON_IO:
        decode_io(v);
        break;
    case REASON_EPT_VIOLATION: {
        u64 q = vmread(VMCS_EXIT_QUALIFICATION);
        v->exit.kind = HV_EXIT_NESTED_FAULT;
        v->exit.fault.gpa = vmread(VMCS_GUEST_PHYSICAL);
        v->exit.fault.write = q & BIT(1);
        v->exit.fault.fetch = q & BIT(2);
        if ((q & NMI_UNBLOCKED) && !(vmread(VMCS_IDT_VECTORING) & EVENT_VALID))
            vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
                    vmread(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKING_NMI);
        return;
    }
    default:
        v->exit.kind = simple_kind(reason);
        break;
    }
    v->exit.length = vmread(VMCS_EXIT_LENGTH);
}

void vmx_decode_exit(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);

    if (x->failure) {
        v->exit = (struct hv_exit){.kind = HV_EXIT_FAIL_ENTRY, .hardware_reason = x->failure};
        return;
    }
    u32 reason = vmread(VMCS_EXIT_REASON);
    v->exit = (struct hv_exit){.hardware_reason = reason};
    if (reason & REASON_ENTRY_FAILED) {
        v->exit.kind = HV_EXIT_FAIL_ENTRY;
        return;
    }
    x->entry_controls =
        vmread(VMCS_ENTRY_CONTROLS); // the CPU follows the guest into and out of long mode
    save_interrupted_event(v);
    decode_reason(v, reason & 0xffff);
}
