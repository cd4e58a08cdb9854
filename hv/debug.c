// KVM_SET_GUEST_DEBUG: a debugger outside of the guest, which sees and touches nothing of it. It
// steps the guest by RFLAGS.TF, has the debug registers for its own breakpoints while the guest's
// values wait, and gets #BP and #DB as KVM_EXIT_DEBUG.

#include "hv/exits.h"

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/usercopy.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/trap.h"

#define DEBUG_CONTROL                                                                              \
    (KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP |                      \
     KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |                    \
     KVM_GUESTDBG_BLOCKIRQ)

#define OPCODE_STI 0xfb

long debug_set(struct vcpu *v, u64 arg)
{
    struct kvm_guest_debug d;

    if (copy_from_user(&d, (void __user *)arg, sizeof(d)))
        return -EFAULT;
    if (d.control & ~DEBUG_CONTROL)
        return -EINVAL;
    if (d.control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)) {
        if (v->pending.valid)
            return -EBUSY;
        inject_exception(v, d.control & KVM_GUESTDBG_INJECT_DB ? VEC_DB : VEC_BP, false, 0);
    }
    v->debug = d.control & KVM_GUESTDBG_ENABLE ? d.control : 0;
    memcpy(v->debug_dr, d.arch.debugreg, sizeof(v->debug_dr));
    v->debug_dr[7] = (v->debug_dr[7] & DR7_WRITABLE) | DR7_INIT;
    hv_ops->debug_changed(v);
    return 0;
}

void debug_load(const struct vcpu *v)
{
    const u64 *dr = v->debug & KVM_GUESTDBG_USE_HW_BP ? v->debug_dr : v->dr;

    write_dr0(dr[0]);
    write_dr1(dr[1]);
    write_dr2(dr[2]);
    write_dr3(dr[3]);
}

void debug_unload(struct vcpu *v)
{
    if (!(v->debug & KVM_GUESTDBG_USE_HW_BP)) {
        v->dr[0] = read_dr0();
        v->dr[1] = read_dr1();
        v->dr[2] = read_dr2();
        v->dr[3] = read_dr3();
    }
    write_dr0(0);
    write_dr1(0);
    write_dr2(0);
    write_dr3(0);
    write_dr6(DR6_INIT);
}

static void debug_event(struct vcpu *v, u8 vector, u64 dr6)
{
    v->exit.kind = HV_EXIT_DEBUG;
    v->exit.debug.vector = vector;
    v->exit.debug.dr6 = dr6;
}

void decode_exception(struct vcpu *v, u8 vector, u64 dr6)
{
    u32 takes = vector == VEC_BP   ? KVM_GUESTDBG_USE_SW_BP
                : vector == VEC_DB ? KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP
                                   : 0;

    v->exit.kind = HV_EXIT_HANDLED;
    if (v->debug & takes) {
        debug_event(v, vector, dr6);
        return;
    }
    if (vector == VEC_DB)
        v->dr6 = dr6;
    inject_exception(v, vector, vector == VEC_AC, 0);
}

// SDM 3B, 17.2. DR4 and DR5 are other names of DR6 and DR7.
static bool access_dr(struct vcpu *v, unsigned dr, u64 *value, bool write)
{
    u64 *at = dr < 4 ? &v->dr[dr] : dr & 1 ? &v->dr7 : &v->dr6;

    if (!write) {
        *value = *at;
        return true;
    }
    if (dr >= 4 && *value >> 32)
        return false;
    *at = dr < 4   ? *value
          : dr & 1 ? (*value & DR7_WRITABLE) | DR7_INIT
                   : (*value & DR6_WRITABLE) | DR6_INIT;
    if (dr < 4 && v->loaded)
        debug_load(v);
    return true;
}

void decode_mov_dr(struct vcpu *v, unsigned dr, u64 *value, bool write, unsigned length)
{
    v->exit.kind = HV_EXIT_HANDLED;
    if ((v->debug & KVM_GUESTDBG_USE_HW_BP) && (v->debug_dr[7] & DR7_GD))
        debug_event(v, VEC_DB, DR6_INIT | DR6_BD);
    else if (v->dr7 & DR7_GD)
        decode_exception(v, VEC_DB, (v->dr6 & ~0xfUL) | DR6_BD);
    else if (access_dr(v, dr, value, write))
        vcpu_advance(v, length);
    else
        inject_exception(v, VEC_GP, true, 0);
}

int exit_debug(struct vcpu *v, u8 vector, u64 dr6)
{
    struct hv_mode mode;

    hv_ops->get_mode(v, &mode);
    v->run->exit_reason = KVM_EXIT_DEBUG;
    v->run->debug.arch.exception = vector;
    v->run->debug.arch.pc = mode.code_bits == 64 ? v->rip : (u32)(mode.cs_base + v->rip);
    v->run->debug.arch.dr6 = dr6;
    v->run->debug.arch.dr7 = debug_dr7(v);
    return 0;
}

bool debug_step_sti(struct vcpu *v)
{
    struct hv_mode mode;
    u8 opcode, shadow;
    bool nmi;

    hv_ops->get_mode(v, &mode);
    u64 gva = mode.code_bits == 64 ? v->rip : (u32)(mode.cs_base + v->rip);
    if (v->pending.valid || mode.cpl > (v->rflags >> 12 & 3) ||
        gva_fetch(v, &mode, gva, &opcode, 1) || opcode != OPCODE_STI)
        return false;
    vcpu_advance(v, 1);
    v->rflags |= RFLAGS_IF;
    hv_ops->get_blocking(v, &shadow, &nmi);
    hv_ops->set_blocking(v, KVM_X86_SHADOW_INT_STI, nmi);
    return true;
}

void vcpu_advance(struct vcpu *v, unsigned length)
{
    hv_ops->advance(v, length);
    v->rflags &= ~RFLAGS_RF;
    v->stepped = v->debug & KVM_GUESTDBG_SINGLESTEP;
    if (v->stepped || !(v->rflags & RFLAGS_TF) || v->pending.valid)
        return;
    v->dr6 = (v->dr6 & ~0xfUL) | DR6_BS;
    inject_exception(v, VEC_DB, false, 0);
}

int debug_stepped(struct vcpu *v)
{
    v->stepped = false;
    return exit_debug(v, VEC_DB, DR6_INIT | DR6_BS);
}
