// Model-specific registers of guests. What is not here does not exist: #GP in the guest.

#include "hv/hv.h"

#include <linux/kvm_para.h>

#include "kernel/lib/err.h"
#include "kernel/mm/usercopy.h"
#include "kernel/x86/cpu.h"

#define MAX_MSRS 256 // in one KVM_GET_MSRS, as KVM has it

#define MSR_TSC_ADJUST 0x3b
#define MSR_PLATFORM_INFO 0xce
#define PLATFORM_INFO_CPUID_FAULT BIT(31)
#define MSR_MTRRCAP 0xfe
#define MSR_BIOS_SIGN_ID 0x8b
#define MSR_PLATFORM_ID 0x17
#define MSR_MCG_CAP 0x179 // no banks
#define MSR_MTRR_DEF_TYPE 0x2ff
// Every AMD processor since the K7 has four counters, whatever CPUID says; here they count nothing.
#define MSR_K7_EVNTSEL0 0xc0010000
#define MSR_K7_PERFCTR3 0xc0010007
#define MSR_K8_INT_PENDING 0xc0010055 // AMD's guests look for broken C1E states in it

const u32 msr_list[] = {
    MSR_TSC,
    MSR_SYSENTER_CS,
    MSR_SYSENTER_ESP,
    MSR_SYSENTER_EIP,
    MSR_PAT,
    MSR_EFER,
    MSR_STAR,
    MSR_LSTAR,
    MSR_CSTAR,
    MSR_SFMASK,
    MSR_FS_BASE,
    MSR_GS_BASE,
    MSR_KERNEL_GS_BASE,
    MSR_APIC_BASE,
    MSR_MISC_ENABLE,
    MSR_TSC_ADJUST,
    MSR_PLATFORM_INFO,
    MSR_BIOS_SIGN_ID,
    MSR_KVM_WALL_CLOCK,
    MSR_KVM_SYSTEM_TIME,
    MSR_KVM_WALL_CLOCK_NEW,
    MSR_KVM_SYSTEM_TIME_NEW,
};
const unsigned msr_list_count = ARRAY_SIZE(msr_list);

const u32 msr_feature_list[] = {MSR_BIOS_SIGN_ID};
const unsigned msr_feature_count = ARRAY_SIZE(msr_feature_list);

static int msr_feature(u32 msr, u64 *value)
{
    *value = 0;
    return msr != MSR_BIOS_SIGN_ID;
}

int msr_get(struct vcpu *v, u32 msr, u64 *value)
{
    switch (msr) {
    case MSR_TSC:
        *value = rdtsc() + v->tsc_offset;
        return 0;
    case MSR_TSC_ADJUST:
        *value = v->tsc_adjust;
        return 0;
    case MSR_PLATFORM_INFO:
        *value = v->platform_info;
        return 0;
    case MSR_APIC_BASE:
        *value = v->apic_base;
        return 0;
    case MSR_PAT:
        *value = v->pat;
        return 0;
    case MSR_MISC_ENABLE:
        *value = v->misc_enable;
        return 0;
    case MSR_BIOS_SIGN_ID:
        *value = v->microcode;
        return 0;
    case MSR_PLATFORM_ID:
    case MSR_MTRRCAP:
    case MSR_MCG_CAP:
    case MSR_MTRR_DEF_TYPE:
    case MSR_K7_EVNTSEL0 ... MSR_K7_PERFCTR3:
    case MSR_K8_INT_PENDING:
        *value = 0;
        return 0;
    default:
        return hv_ops->get_msr(v, msr, value) && lapic_get_msr(v, msr, value) &&
               kvmclock_get_msr(v, msr, value);
    }
}

// Each byte of the PAT names a memory type that exists (SDM 3A, 11.12.2).
static bool pat_valid(u64 pat)
{
    for (int i = 0; i < 8; i++, pat >>= 8) {
        u8 type = pat;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

// The canonical address of the same lower 48 bits.
static u64 sign_extended(u64 va)
{
    return (s64)(va << 16) >> 16;
}

static bool holds_address(u32 msr)
{
    switch (msr) {
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        return true;
    default:
        return false;
    }
}

int msr_set(struct vcpu *v, u32 msr, u64 value)
{
    struct hv_mode mode;

    if (msr == MSR_SYSENTER_ESP || msr == MSR_SYSENTER_EIP)
        value = sign_extended(value); // AMD's do not fault, and KVM takes these for all
    if (holds_address(msr) && sign_extended(value) != value)
        return 1;
    switch (msr) {
    case MSR_TSC:
        v->tsc_offset = value - rdtsc();
        kvmclock_changed(v);
        return 0;
    case MSR_TSC_ADJUST:
        v->tsc_adjust = value;
        return 0;
    case MSR_PLATFORM_INFO:
        if (value & PLATFORM_INFO_CPUID_FAULT)
            return 1;
        v->platform_info = value;
        return 0;
    case MSR_APIC_BASE:
        return vcpu_set_apic_base(v, value, false);
    case MSR_PAT:
        if (!pat_valid(value))
            return 1;
        v->pat = value;
        return 0;
    case MSR_MISC_ENABLE:
        v->misc_enable = value;
        return 0;
    case MSR_BIOS_SIGN_ID:
        v->microcode = value;
        return 0;
    case MSR_K7_EVNTSEL0 ... MSR_K7_PERFCTR3:
        return 0;
    case MSR_EFER:
        if (value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
            return 1;
        hv_ops->get_mode(v, &mode); // LMA is the CPU's
        value = (value & ~EFER_LMA) | (mode.efer & EFER_LMA);
        return hv_ops->set_msr(v, msr, value) ? 1 : 0;
    default:
        return hv_ops->set_msr(v, msr, value) && lapic_set_msr(v, msr, value) &&
               kvmclock_set_msr(v, msr, value);
    }
}

int msr_read(struct vcpu *v, u32 msr, u64 *value)
{
    return (msr == MSR_PLATFORM_INFO && v->vm->no_platform_info) || msr_get(v, msr, value);
}

// WRMSR of EFER obeys what SET_MSRS need not: LME cannot change while paging is on (SDM 3A, 2.2.1).
static bool efer_write_allowed(struct vcpu *v, u64 value)
{
    struct hv_mode mode;

    hv_ops->get_mode(v, &mode);
    return !(mode.cr0 & CR0_PG) || !((mode.efer ^ value) & EFER_LME);
}

// IA32_TSC_ADJUST is by how much the guest has moved its TSC (SDM 3B, 17.17.3); user space sets the
// two apart.
static int write_tsc(struct vcpu *v, u64 by)
{
    v->tsc_adjust += by;
    v->tsc_offset += by;
    kvmclock_changed(v);
    return 0;
}

int msr_write(struct vcpu *v, u32 msr, u64 value)
{
    switch (msr) {
    case MSR_TSC:
        return write_tsc(v, value - (rdtsc() + v->tsc_offset));
    case MSR_TSC_ADJUST:
        return write_tsc(v, value - v->tsc_adjust);
    case MSR_PLATFORM_INFO:
        return 1;
    case MSR_BIOS_SIGN_ID: // written before it is read, by the rule for reading microcode versions
        return 0;
    case MSR_APIC_BASE:
        return vcpu_set_apic_base(v, value, true);
    case MSR_EFER:
        return !efer_write_allowed(v, value) || msr_set(v, msr, value);
    default:
        return msr_set(v, msr, value);
    }
}

// KVM_GET_MSRS, KVM_SET_MSRS: how many were read or written before the first that is not there.
long msrs_ioctl(struct vcpu *v, u64 arg, bool write)
{
    struct kvm_msrs __user *user = (void *)arg;
    struct kvm_msrs head;
    struct kvm_msr_entry e;
    u32 i;

    if (copy_from_user(&head, user, sizeof(head)))
        return -EFAULT;
    if (head.nmsrs > MAX_MSRS)
        return -E2BIG;
    for (i = 0; i < head.nmsrs; i++) {
        if (copy_from_user(&e, &user->entries[i], sizeof(e)))
            return -EFAULT;
        u64 value = e.data;
        if (!v      ? msr_feature(e.index, &value)
            : write ? msr_set(v, e.index, value)
                    : msr_get(v, e.index, &value))
            break;
        e.data = value;
        if (!write && copy_to_user(&user->entries[i], &e, sizeof(e)))
            return -EFAULT;
    }
    return i;
}
