// What user space chooses for a VM or a vCPU before or while it runs: capabilities to turn on
// (KVM_ENABLE_CAP), the boot processor, and attributes (KVM_SET_DEVICE_ATTR).

#include "hv/hv.h"

#include "kernel/lib/err.h"
#include "kernel/mm/usercopy.h"

#define MIN_MMU_PAGES 64     // KVM_SET_NR_MMU_PAGES takes no fewer
#define CAP_USER_MEMORY2 231 // Linux 6.8's
#define QUIRKS (KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS | KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT)

static bool has_vcpus(const struct vm *vm)
{
    for (int i = 0; i < HV_MAX_VCPUS; i++) {
        if (vm->vcpu[i])
            return true;
    }
    return false;
}

// It is set once.
static long set_max_vcpu_id(struct vm *vm, u64 max)
{
    if (max > HV_MAX_VCPUS || max < vm->boot_cpu || (vm->max_vcpu_id && vm->max_vcpu_id != max))
        return -EINVAL;
    vm->max_vcpu_id = max;
    return 0;
}

static long enable_cap(struct vm *vm, u64 arg)
{
    struct kvm_enable_cap cap;

    if (copy_from_user(&cap, (void __user *)arg, sizeof(cap)))
        return -EFAULT;
    if (cap.flags)
        return -EINVAL;
    switch (cap.cap) {
    case KVM_CAP_MAX_VCPU_ID:
        return set_max_vcpu_id(vm, cap.args[0]);
    case KVM_CAP_MSR_PLATFORM_INFO:
        vm->no_platform_info = !cap.args[0];
        return 0;
    case KVM_CAP_X2APIC_API:
        if (cap.args[0] & ~KVM_X2APIC_API_USE_32BIT_IDS)
            return -EINVAL;
        vm->x2apic_ids |= cap.args[0] != 0;
        return 0;
    case KVM_CAP_DISABLE_QUIRKS2:
        if (cap.args[0] & ~(u64)QUIRKS)
            return -EINVAL;
        vm->quirks_off = cap.args[0];
        return 0;
    default:
        return -EINVAL;
    }
}

long caps_vm_ioctl(struct vm *vm, u32 cmd, u64 arg)
{
    switch (cmd) {
    case KVM_ENABLE_CAP:
        return enable_cap(vm, arg);
    case KVM_SET_BOOT_CPU_ID:
        if (has_vcpus(vm))
            return -EBUSY;
        if (arg >= (vm->max_vcpu_id ?: HV_MAX_VCPUS))
            return -EINVAL;
        vm->boot_cpu = arg;
        return 0;
    case KVM_SET_TSS_ADDR:
        return 0;
    // For VMMs written for Intel CPUs without unrestricted guest, which need these pages; nothing
    // here does. KVM wants them before the first vCPU.
    case KVM_SET_IDENTITY_MAP_ADDR:
        return has_vcpus(vm) ? -EINVAL : 0;
    case KVM_SET_NR_MMU_PAGES: // nested tables are not limited but by the VM's cgroup
        return arg < MIN_MMU_PAGES ? -EINVAL : 0;
    default:
        return -ENOTTY;
    }
}

// KVM_VCPU_TSC_OFFSET: what the guest's TSC is ahead of the host's.
long vcpu_attribute(struct vcpu *v, u32 cmd, u64 arg)
{
    struct kvm_device_attr attribute;

    if (copy_from_user(&attribute, (void __user *)arg, sizeof(attribute)))
        return -EFAULT;
    if (attribute.group != KVM_VCPU_TSC_CTRL || attribute.attr != KVM_VCPU_TSC_OFFSET)
        return -ENXIO;
    u64 value = v->tsc_offset;
    if (cmd == KVM_GET_DEVICE_ATTR)
        return copy_to_user((void __user *)attribute.addr, &value, sizeof(value));
    if (cmd == KVM_HAS_DEVICE_ATTR)
        return 0;
    if (copy_from_user(&value, (void __user *)attribute.addr, sizeof(value)))
        return -EFAULT;
    v->tsc_offset = value;
    kvmclock_changed(v);
    return 0;
}

int caps_extension(u64 cap)
{
    switch (cap) {
    case CAP_USER_MEMORY2:
    case KVM_CAP_ENABLE_CAP_VM:
    case KVM_CAP_SET_BOOT_CPU_ID:
    case KVM_CAP_MSR_PLATFORM_INFO:
    case KVM_CAP_GET_MSR_FEATURES:
    case KVM_CAP_VCPU_ATTRIBUTES:
    case KVM_CAP_SET_GUEST_DEBUG:
    case KVM_CAP_BINARY_STATS_FD:
        return 1;
    case KVM_CAP_X2APIC_API:
        return KVM_X2APIC_API_USE_32BIT_IDS;
    case KVM_CAP_SYNC_REGS:
        return KVM_SYNC_X86_VALID_FIELDS;
    case KVM_CAP_DISABLE_QUIRKS2:
        return QUIRKS;
    default:
        return 0;
    }
}
