// /dev/kvm: which backend this machine has, and the system ioctls of the KVM API.

#include "hv/hv.h"

#include <linux/kdev_t.h>
#include <linux/major.h>
#include <linux/stat.h>

#include "kernel/fs/vfs.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/x86/log.h"
#include "kernel/x86/percpu.h"

const struct hv_ops *hv_ops;

#define KVM_MINOR 232

long vm_check_extension(u64 cap)
{
    switch (cap) {
    case KVM_CAP_USER_MEMORY:
    case KVM_CAP_EXT_CPUID:
    case KVM_CAP_SET_TSS_ADDR:
    case KVM_CAP_SET_IDENTITY_MAP_ADDR:
    case KVM_CAP_READONLY_MEM:
    case KVM_CAP_IMMEDIATE_EXIT:
    case KVM_CAP_DESTROY_MEMORY_REGION_WORKS:
    case KVM_CAP_JOIN_MEMORY_REGIONS_WORKS:
    case KVM_CAP_SYNC_MMU:
    case KVM_CAP_GET_TSC_KHZ:
    case KVM_CAP_USER_NMI:
    case KVM_CAP_IRQCHIP:
    case KVM_CAP_HLT:
    case KVM_CAP_PIT2:
    case KVM_CAP_IRQ_INJECT_STATUS:
    case KVM_CAP_IRQFD:
    case KVM_CAP_IRQFD_RESAMPLE:
    case KVM_CAP_IOEVENTFD:
    case KVM_CAP_IOEVENTFD_ANY_LENGTH:
    case KVM_CAP_COALESCED_PIO:
    case KVM_CAP_PIT_STATE2:
    case KVM_CAP_REINJECT_CONTROL:
    case KVM_CAP_SIGNAL_MSI:
    case KVM_CAP_MP_STATE:
    case KVM_CAP_TSC_DEADLINE_TIMER:
        return 1;
    case KVM_CAP_NR_VCPUS:
    case KVM_CAP_MAX_VCPUS:
    case KVM_CAP_MAX_VCPU_ID:
        return HV_MAX_VCPUS;
    case KVM_CAP_COALESCED_MMIO:
        return HV_RUN_PAGES - 1; // where the ring lies in the mapping
    case KVM_CAP_IRQ_ROUTING:
        return HV_MAX_ROUTES;
    case KVM_CAP_NR_MEMSLOTS:
        return HV_MAX_SLOTS;
    default:
        return state_extension(cap) ?: caps_extension(cap);
    }
}

static long ioctl_get_supported_cpuid(u64 arg)
{
    struct kvm_cpuid2 __user *user = (void *)arg;
    struct kvm_cpuid2 head;
    long err = 0;

    if (copy_from_user(&head, user, sizeof(head)))
        return -EFAULT;
    struct kvm_cpuid_entry2 *e = kzalloc(HV_MAX_CPUID * sizeof(*e));
    if (!e)
        return -ENOMEM;
    unsigned n = cpuid_supported(e, HV_MAX_CPUID);
    if (head.nent < n)
        err = -E2BIG;
    else if (copy_to_user(user->entries, e, n * sizeof(*e)))
        err = -EFAULT;
    head.nent = n;
    if (copy_to_user(user, &head, sizeof(head)))
        err = -EFAULT;
    kfree(e);
    return err;
}

static long ioctl_msr_indices(u64 arg, const u32 *list, u32 count)
{
    struct kvm_msr_list __user *user = (void *)arg;
    struct kvm_msr_list head;

    if (copy_from_user(&head, user, sizeof(head)))
        return -EFAULT;
    bool fits = head.nmsrs >= count;
    head.nmsrs = count;
    if (copy_to_user(user, &head, sizeof(head)))
        return -EFAULT;
    if (!fits)
        return -E2BIG;
    return copy_to_user(user->indices, list, count * sizeof(u32));
}

static long kvm_ioctl(struct file *f, u32 cmd, u64 arg)
{
    switch (cmd) {
    case KVM_GET_API_VERSION:
        return arg ? -EINVAL : KVM_API_VERSION;
    case KVM_CREATE_VM:
        return arg ? -EINVAL : vm_create();
    case KVM_CHECK_EXTENSION:
        return vm_check_extension(arg);
    case KVM_GET_VCPU_MMAP_SIZE:
        return arg ? -EINVAL : (long)(HV_RUN_PAGES * PAGE_SIZE);
    case KVM_GET_SUPPORTED_CPUID:
        return ioctl_get_supported_cpuid(arg);
    case KVM_GET_MSR_INDEX_LIST:
        return ioctl_msr_indices(arg, msr_list, msr_list_count);
    case KVM_GET_MSR_FEATURE_INDEX_LIST:
        return ioctl_msr_indices(arg, msr_feature_list, msr_feature_count);
    case KVM_GET_MSRS:
        return msrs_ioctl(NULL, arg, false);
    default:
        return -EINVAL;
    }
}

static int misc_open(struct inode *inode, struct file *f)
{
    return MINOR(inode->rdev) == KVM_MINOR ? 0 : -ENODEV;
}

static const struct file_ops kvm_fops = {.open = misc_open, .ioctl = kvm_ioctl};

void hv_init(void)
{
    static const struct hv_ops *const backend[] = {&svm_ops, &vmx_ops};
    const char *missing[ARRAY_SIZE(backend)];

    for (unsigned i = 0; i < ARRAY_SIZE(backend) && !hv_ops; i++) {
        missing[i] = backend[i]->probe();
        if (!missing[i])
            hv_ops = backend[i];
    }
    if (!hv_ops) {
        kprintf("hv: no virtual machines: %s; %s\n", missing[0], missing[1]);
        return;
    }
    int err = chrdev_register(MISC_MAJOR, "misc", &kvm_fops);
    if (!err)
        err = devfs_node("kvm", S_IFCHR | 0666, MKDEV(MISC_MAJOR, KVM_MINOR));
    if (err)
        kprintf("hv: /dev/kvm: error %d\n", err);
    else
        kprintf("hv: /dev/kvm with %s\n", hv_ops->name);
}
