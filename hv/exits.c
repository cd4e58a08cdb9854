// What happens after #VMEXIT, for both vendors: answer in the kernel what can be, hand the rest to
// the VMM through kvm_run.

#include "hv/exits.h"

#include <linux/kvm_para.h>

#include "kernel/lib/err.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/fpu.h"
#include "kernel/x86/log.h"
#include "kernel/x86/trap.h"

// Faults leave RF set in the flags that they push (SDM 3B, 17.3.1.1); #DB ends the guard of the
// debug registers.
void inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
    if (vector == VEC_DB)
        v->dr7 &= ~DR7_GD;
    else
        v->rflags |= RFLAGS_RF;
    v->pending = (struct hv_event){.valid = true,
                                   .vector = vector,
                                   .type = EVENT_EXCEPTION,
                                   .has_error = has_error,
                                   .error = error};
}

// #PF with CR2 (SDM 3A, 4.7).
void inject_page_fault(struct vcpu *v, u64 gva, u32 error)
{
    struct kvm_sregs s = {0};

    hv_ops->get_sregs(v, &s);
    s.cr2 = gva;
    hv_ops->set_sregs(v, &s);
    inject_exception(v, VEC_PF, true, error);
}

u64 segment_base(struct vcpu *v, u8 segment)
{
    struct kvm_sregs s = {0};
    struct hv_mode mode;

    hv_ops->get_mode(v, &mode);
    if (mode.code_bits == 64 && segment < SEGMENT_FS)
        return 0;
    hv_ops->get_sregs(v, &s);
    const struct kvm_segment *const by_encoding[] = {&s.es, &s.cs, &s.ss, &s.ds, &s.fs, &s.gs};
    return by_encoding[segment]->base;
}

static u64 code_address(const struct vcpu *v, const struct hv_mode *m)
{
    return m->code_bits == 64 ? v->rip : (u32)(m->cs_base + v->rip);
}

static int fetch(struct vcpu *v, const struct hv_mode *m, struct decoded *d)
{
    u64 gva = code_address(v, m);
    unsigned n = min((u64)INSN_MAX, PAGE_SIZE - (gva & ~PAGE_MASK));
    u8 bytes[INSN_MAX];

    if (gva_fetch(v, m, gva, bytes, n))
        return -EFAULT;
    if (n < INSN_MAX && gva_fetch(v, m, gva + n, bytes + n, INSN_MAX - n) == 0)
        n = INSN_MAX;
    return decode(bytes, n, m->code_bits, d) ? 0 : -EINVAL;
}

int fetch_instruction(struct vcpu *v, struct decoded *d)
{
    struct hv_mode mode;

    hv_ops->get_mode(v, &mode);
    return fetch(v, &mode, d);
}

// Where the CPU does not give the length: the opcode's own bytes, which the exit tells, behind
// prefixes if there are any.
unsigned instruction_length(struct vcpu *v)
{
    static const struct {
        u8 length, bytes[2];
    } opcode[HV_EXIT_UNKNOWN + 1] = {
        [HV_EXIT_CPUID] = {2, {0x0f, 0xa2}},     [HV_EXIT_RDMSR] = {2, {0x0f, 0x32}},
        [HV_EXIT_WRMSR] = {2, {0x0f, 0x30}},     [HV_EXIT_HLT] = {1, {0xf4}},
        [HV_EXIT_SKIP] = {2, {0x0f, 0x09}},      [HV_EXIT_XSETBV] = {3, {0x0f, 0x01}},
        [HV_EXIT_HYPERCALL] = {3, {0x0f, 0x01}}, [HV_EXIT_MWAIT] = {3, {0x0f, 0x01}},
    };
    unsigned length = opcode[v->exit.kind].length;
    const u8 *wanted = opcode[v->exit.kind].bytes;
    struct hv_mode mode;
    struct decoded d;

    if (v->exit.length)
        return v->exit.length;
    hv_ops->get_mode(v, &mode);
    const volatile u8 *code = gva_peek(v, &mode, code_address(v, &mode), 2);
    if (code && code[0] == wanted[0] && (length == 1 || code[1] == wanted[1]))
        v->exit.length = length;
    else if (fetch(v, &mode, &d) != -EFAULT)
        v->exit.length = d.prefixes + length;
    return v->exit.length;
}

bool guest_cr4_valid(u64 cr4, u64 efer)
{
    u32 features = cpuid(7, 0).ebx;
    u64 missing = 0;

    if (!(features & BIT(0)))
        missing |= CR4_FSGSBASE;
    if (!(features & BIT(7)))
        missing |= CR4_SMEP;
    if (!(features & BIT(20)))
        missing |= CR4_SMAP;
    if (!(cpuid(7, 0).ecx & BIT(2)))
        missing |= CR4_UMIP;
    if (!(cpuid(1, 0).ecx & BIT(26)))
        missing |= CR4_OSXSAVE;
    return !(cr4 & (~CR4_GUEST | missing)) && (!(efer & EFER_LMA) || (cr4 & CR4_PAE));
}

static int advance(struct vcpu *v)
{
    vcpu_advance(v, instruction_length(v));
    return RESUME;
}

static int exit_cpuid(struct vcpu *v)
{
    cpuid_emulate(v);
    return advance(v);
}

static int exit_rdmsr(struct vcpu *v)
{
    u64 value;

    if (msr_read(v, v->reg[RCX], &value)) {
        inject_exception(v, VEC_GP, true, 0);
        return RESUME;
    }
    v->reg[RAX] = (u32)value;
    v->reg[RDX] = value >> 32;
    return advance(v);
}

static int exit_wrmsr(struct vcpu *v)
{
    u64 value = (u32)v->reg[RAX] | v->reg[RDX] << 32;

    if (msr_write(v, v->reg[RCX], value)) {
        inject_exception(v, VEC_GP, true, 0);
        return RESUME;
    }
    return advance(v);
}

static int exit_hlt(struct vcpu *v)
{
    advance(v);
    if (v->vm->irqchip) {
        v->mp_state = KVM_MP_STATE_HALTED;
        return RESUME;
    }
    v->run->exit_reason = KVM_EXIT_HLT;
    return 0;
}

// MONITOR and MWAIT do nothing: the guest looks again at what it waits for. Without them in CPUID
// they still do that unless the VMM has said otherwise.
static int exit_mwait(struct vcpu *v)
{
    if (!(v->vm->quirks_off & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS) || cpuid_has_mwait(v))
        return advance(v);
    inject_exception(v, VEC_UD, false, 0);
    return RESUME;
}

static int exit_xsetbv(struct vcpu *v)
{
    u64 value = (u32)v->reg[RAX] | v->reg[RDX] << 32;

    if ((u32)v->reg[RCX] || !xcr0_valid(value)) {
        inject_exception(v, VEC_GP, true, 0);
        return RESUME;
    }
    v->xcr0 = value;
    if (v->loaded)
        xsetbv(0, value);
    return advance(v);
}

// KVM's hypercalls (Documentation/virt/kvm/x86/hypercalls.rst): CPUID offers none of those that do
// something.
static int exit_hypercall(struct vcpu *v)
{
    struct hv_mode mode;

    hv_ops->get_mode(v, &mode);
    u64 result = mode.cpl ? -KVM_EPERM : v->reg[RAX] == KVM_HC_VAPIC_POLL_IRQ ? 0 : -KVM_ENOSYS;
    v->reg[RAX] = mode.code_bits == 64 ? result : (u32)result;
    return advance(v);
}

static int exit_shutdown(struct vcpu *v)
{
    v->run->exit_reason = KVM_EXIT_SHUTDOWN;
    return 0;
}

static int exit_fail_entry(struct vcpu *v)
{
    v->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
    v->run->fail_entry.hardware_entry_failure_reason = v->exit.hardware_reason;
    v->run->fail_entry.cpu = v->cpu;
    return 0;
}

// An instruction of the guest's user mode that cannot be carried out is its own kernel's business,
// as #UD.
int exit_internal_error(struct vcpu *v, u32 suberror, u64 data)
{
    struct hv_mode mode;

    hv_ops->get_mode(v, &mode);
    if (suberror == KVM_INTERNAL_ERROR_EMULATION && mode.cpl) {
        inject_exception(v, VEC_UD, false, 0);
        return RESUME;
    }
    v->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
    v->run->internal.suberror = suberror;
    v->run->internal.ndata = 1;
    v->run->internal.data[0] = data;
    return 0;
}

static int exit_unknown(struct vcpu *v)
{
    v->run->exit_reason = KVM_EXIT_UNKNOWN;
    v->run->hw.hardware_exit_reason = v->exit.hardware_reason;
    return 0;
}

static int exit_nested_fault(struct vcpu *v)
{
    int err = nested_fault(v, v->exit.fault.gpa, v->exit.fault.write);

    if (err == 0)
        return RESUME;
    return err > 0 ? exit_mmio(v) : err;
}

int handle_exit(struct vcpu *v)
{
    switch (v->exit.kind) {
    case HV_EXIT_HOST_EVENT:
    case HV_EXIT_HANDLED:
        return RESUME;
    case HV_EXIT_IO:
        return exit_io(v);
    case HV_EXIT_CPUID:
        return exit_cpuid(v);
    case HV_EXIT_RDMSR:
        return exit_rdmsr(v);
    case HV_EXIT_WRMSR:
        return exit_wrmsr(v);
    case HV_EXIT_HLT:
        return exit_hlt(v);
    case HV_EXIT_NESTED_FAULT:
        return exit_nested_fault(v);
    case HV_EXIT_IRQ_WINDOW:
        hv_ops->want_irq_window(v, false);
        return RESUME;
    case HV_EXIT_SKIP:
        return advance(v);
    case HV_EXIT_UNDEFINED:
        inject_exception(v, VEC_UD, false, 0);
        return RESUME;
    case HV_EXIT_MWAIT:
        return exit_mwait(v);
    case HV_EXIT_XSETBV:
        return exit_xsetbv(v);
    case HV_EXIT_HYPERCALL:
        return exit_hypercall(v);
    case HV_EXIT_DEBUG:
        return exit_debug(v, v->exit.debug.vector, v->exit.debug.dr6);
    case HV_EXIT_SHUTDOWN:
        return exit_shutdown(v);
    case HV_EXIT_FAIL_ENTRY:
        return exit_fail_entry(v);
    case HV_EXIT_UNKNOWN:
        break;
    }
    return exit_unknown(v);
}

int complete_userspace(struct vcpu *v)
{
    int kind = v->completion.kind;

    v->completion.kind = COMPLETE_NONE;
    int result = kind == COMPLETE_IO     ? complete_io(v)
                 : kind == COMPLETE_MMIO ? complete_mmio(v)
                                         : RESUME;
    return result == RESUME && v->stepped ? debug_stepped(v) : result;
}
