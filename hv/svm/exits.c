// From EXITCODE, EXITINFO and EXITINTINFO to the common struct hv_exit.

#include "hv/svm/svm.h"

#include "hv/exits.h"
#include "kernel/lib/err.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/trap.h"

#define OPCODE_INT3 0xcc
#define OPCODE_INTO 0xce

// An event whose delivery ended in this exit comes again, but for INT n, INT3 and INTO: RIP is
// still at those.
static void save_interrupted_event(struct vcpu *v, const struct vmcb *b)
{
    u64 info = b->exit_int_info;
    u8 vector = info, type = info >> 8 & 7;

    if (type == EVENT_SOFT_INT && (info & EVENT_VALID) && svm_of(v)->soft_rip)
        v->rip = svm_of(v)->soft_rip;
    svm_of(v)->soft_rip = 0;
    if (svm_undelivered(v) || !(info & EVENT_VALID) || type == EVENT_SOFT_INT)
        return;
    if (type == EVENT_EXCEPTION && (vector == VEC_BP || vector == VEC_OF))
        return;
    v->pending = (struct hv_event){.valid = true,
                                   .vector = vector,
                                   .type = type,
                                   .has_error = info & EVENT_HAS_ERROR,
                                   .error = info >> 32};
}

// SDM 3B, 18.2.3 and 18.2.4.

static void decode_io(struct vcpu *v, const struct vmcb *b)
{
    u32 info = b->exit_info1;

    v->exit.kind = HV_EXIT_IO;
    v->exit.length = b->exit_info2 - b->rip;
    v->exit.io.in = info & BIT(0);
    v->exit.io.string = info & BIT(2);
    v->exit.io.rep = info & BIT(3);
    v->exit.io.size = info >> 4 & 7;
    v->exit.io.address_size = (info >> 7 & 7) << 1; // A16, A32, A64: 1, 2, 4
    v->exit.io.segment = 0xff;
    v->exit.io.port = info >> 16;
}

static bool set_cr4(struct vcpu *v, u64 value)
{
    struct vmcb *b = svm_of(v)->vmcb;

    if (!guest_cr4_valid(value, b->efer))
        return false;
    b->cr4 = value;
    v->flush_wanted = true;
    return true;
}

static bool set_special(struct vcpu *v, u32 code, u64 value)
{
    if (code == VMEXIT_CR4_WRITE)
        return set_cr4(v, value);
    if (value < 16)
        vcpu_set_cr8(v, value);
    return value < 16;
}

// MOV to CR4, to CR8, to or from a debug register. The exit names
// the target; REX.B and ModRM name the source.
static void move_to_special(struct vcpu *v, u32 code)
{
    u8 bytes[INSN_MAX + 1];
    struct decoded d;

    v->exit.kind = HV_EXIT_HANDLED;
    if (fetch_instruction(v, &d) == -EFAULT || gva_read(v, v->rip, bytes, d.prefixes + 3, true))
        return;
    u8 rex = d.mode == 64 && d.prefixes ? bytes[d.prefixes - 1] : 0;
    bool extended = (rex & 0xf0) == 0x40 && (rex & 1);
    u64 *reg = &v->reg[(bytes[d.prefixes + 2] & 7) | (extended ? 8 : 0)],
        value = d.mode == 64 ? *reg : (u32)*reg;
    if (code >= VMEXIT_DR0_WRITE)
        decode_mov_dr(v, code & 7, &value, true, d.prefixes + 3);
    else if (code >= VMEXIT_DR0_READ)
        decode_mov_dr(v, code & 7, reg, false, d.prefixes + 3);
    else if (set_special(v, code, value))
        vcpu_advance(v, d.prefixes + 3);
    else
        inject_exception(v, VEC_GP, true, 0);
}

// Intercepted for a debugger that waits for INT3: under QEMU that is a software interrupt like INT
// n and INTO, which are delivered.
static void software_interrupt(struct vcpu *v)
{
    u8 bytes[INSN_MAX + 1];
    struct decoded d;

    v->exit.kind = HV_EXIT_HANDLED;
    if (fetch_instruction(v, &d) == -EFAULT || gva_read(v, v->rip, bytes, d.prefixes + 2, true))
        return;
    const u8 *op = bytes + d.prefixes;
    if (op[0] == OPCODE_INT3) {
        decode_exception(v, VEC_BP, 0);
        return;
    }
    u8 vector = op[0] == OPCODE_INTO ? VEC_OF : op[1];
    v->pending = (struct hv_event){.valid = true, .vector = vector, .type = EVENT_SOFT_INT};
    svm_of(v)->soft_rip = v->rip;
    v->rip += d.prefixes + (op[0] == OPCODE_INTO ? 1 : 2);
}

static enum hv_exit_kind simple_kind(u32 code)
{
    switch (code) {
    case VMEXIT_INTR:
    case VMEXIT_NMI:
    case VMEXIT_SMI:
    case VMEXIT_INIT:
        return HV_EXIT_HOST_EVENT;
    case VMEXIT_VINTR:
        return HV_EXIT_IRQ_WINDOW;
    case VMEXIT_CPUID:
        return HV_EXIT_CPUID;
    case VMEXIT_INVD:
    case VMEXIT_WBINVD:
        return HV_EXIT_SKIP;
    case VMEXIT_HLT:
        return HV_EXIT_HLT;
    case VMEXIT_RDPMC:
    case VMEXIT_INVLPGA:
    case VMEXIT_VMRUN:
    case VMEXIT_VMMCALL + 1 ... VMEXIT_SKINIT:
        return HV_EXIT_UNDEFINED;
    case VMEXIT_MONITOR ... VMEXIT_MWAIT_ARMED:
        return HV_EXIT_MWAIT;
    case VMEXIT_XSETBV:
        return HV_EXIT_XSETBV;
    case VMEXIT_VMMCALL:
        return HV_EXIT_HYPERCALL;
    case VMEXIT_SHUTDOWN:
        return HV_EXIT_SHUTDOWN;
    case VMEXIT_INVALID:
        return HV_EXIT_FAIL_ENTRY;
    default:
        return HV_EXIT_UNKNOWN;
    }
}

void svm_decode_exit(struct vcpu *v)
{
    const struct vmcb *b = svm_of(v)->vmcb;
    u32 code = b->exit_code;

    v->exit = (struct hv_exit){.hardware_reason = b->exit_code};
    save_interrupted_event(v, b);
    if (code == VMEXIT_IOIO) {
        decode_io(v, b);
    } else if (code == VMEXIT_MSR) {
        v->exit.kind = b->exit_info1 & 1 ? HV_EXIT_WRMSR : HV_EXIT_RDMSR;
    } else if (code == VMEXIT_NPF) {
        v->exit.kind = HV_EXIT_NESTED_FAULT;
        v->exit.fault.gpa = b->exit_info2;
        v->exit.fault.write = b->exit_info1 & PF_WRITE;
        v->exit.fault.fetch = b->exit_info1 & PF_FETCH;
    } else if (code == VMEXIT_CR4_WRITE || code == VMEXIT_CR8_WRITE ||
               (code >= VMEXIT_DR0_READ && code <= VMEXIT_DR7_WRITE)) {
        move_to_special(v, code);
    } else if (code >= VMEXIT_EXCEPTION && code < VMEXIT_EXCEPTION + 32) {
        if (code == VMEXIT_EXCEPTION + VEC_DB && svm_of(v)->stepped)
            v->exit.kind = HV_EXIT_HANDLED;
        else
            decode_exception(v, code - VMEXIT_EXCEPTION, b->dr6);
    } else if (code == VMEXIT_SWINT) {
        software_interrupt(v);
    } else if (code == VMEXIT_IRET) {
        v->exit.kind = HV_EXIT_HANDLED;
        svm_nmi_iret(v);
    } else {
        v->exit.kind = simple_kind(code);
    }
    if (svm_has_next_rip && b->next_rip > b->rip && b->next_rip - b->rip <= INSN_MAX &&
        code != VMEXIT_IOIO)
        v->exit.length = b->next_rip - b->rip;
}
