// A virtual machine: its descriptor, its ioctls, its end.

#include "hv/hv.h"

#include <linux/fcntl.h>

#include "container/cgroup/cgroup.h"
#include "kernel/fs/vfs.h"
#include "kernel/lib/err.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"

// Linux 6.8's, which Debian 12's headers have not.
#define SET_USER_MEMORY_REGION2 _IOC(_IOC_WRITE, KVMIO, 0x49, 160)

static struct list all_vms = LIST_INIT(all_vms);

struct vm *vm_get(struct vm *vm)
{
    vm->refs++;
    return vm;
}

void vm_put(struct vm *vm)
{
    if (--vm->refs)
        return;
    if (vm->aspace)
        aspace_unwatch(vm->aspace, &vm->watcher);
    list_remove(&vm->link);
    eventfds_destroy(vm);
    irqchip_destroy(vm);
    slots_destroy(vm);
    if (vm->coalesced_page)
        page_put(vm->coalesced_page);
    nested_destroy(vm);
    cgroup_put(vm->cgroup);
    kfree(vm);
}

u64 vcpu_exits(const struct vcpu *v)
{
    u64 sum = 0;

    for (unsigned kind = 0; kind < ARRAY_SIZE(v->exits); kind++)
        sum += v->exits[kind];
    return sum;
}

bool hv_process_counts(const struct process *p, u32 *vcpus, u64 *exits)
{
    bool found = false;
    struct vm *vm;

    *vcpus = 0;
    *exits = 0;
    list_for_each (vm, &all_vms, link) {
        if (!vm->aspace || vm->aspace != p->leader->aspace)
            continue;
        found = true;
        for (int i = 0; i < HV_MAX_VCPUS; i++) {
            *vcpus += vm->vcpu[i] != NULL;
            *exits += vm->vcpu[i] ? vcpu_exits(vm->vcpu[i]) : 0;
        }
    }
    return found;
}

// A range of the VMM's memory stops being what it was: so does each guest-physical page made of it.
static void watcher_invalidate(struct aspace_watcher *w, vaddr_t start, vaddr_t end)
{
    struct vm *vm = container_of(w, struct vm, watcher);

    for (int i = 0; i < HV_MAX_SLOTS; i++) {
        struct memslot *s = &vm->slot[i];
        if (!s->used || end <= s->hva || start >= s->hva + s->size)
            continue;
        u64 first = max(start, s->hva), last = min(end, s->hva + s->size);
        nested_zap(vm, s->gpa + (first - s->hva), last - first);
    }
}

static void watcher_release(struct aspace_watcher *w)
{
    struct vm *vm = container_of(w, struct vm, watcher);

    nested_zap(vm, 0, HV_MAX_GPA);
    vm->aspace = NULL;
}

// Both versions of the call begin with the same struct; what the second adds is for memory that the
// VMM cannot see, which needs a flag that is refused.
static long ioctl_set_memory(struct vm *vm, u64 arg)
{
    struct kvm_userspace_memory_region region;

    if (copy_from_user(&region, (void __user *)arg, sizeof(region)))
        return -EFAULT;
    return slot_set(vm, &region);
}

static long vm_ioctl(struct file *f, u32 cmd, u64 arg)
{
    struct vm *vm = f->private;
    long result;

    if (vm->aspace != current()->aspace)
        return -EIO;
    switch (cmd) {
    case KVM_CREATE_VCPU:
        return arg >> 32 ? -EINVAL : vcpu_create(vm, arg);
    case KVM_SET_USER_MEMORY_REGION:
    case SET_USER_MEMORY_REGION2:
        return ioctl_set_memory(vm, arg);
    case KVM_CHECK_EXTENSION:
        return vm_check_extension(arg);
    case KVM_GET_STATS_FD:
        return stats_open(vm, -1);
    case KVM_GET_TSC_KHZ: // one pace for all vCPUs
    case KVM_SET_TSC_KHZ:
        return tsc_khz_ioctl(cmd, arg);
    case KVM_GET_DIRTY_LOG:
        return dirty_get(vm, arg);
    case KVM_REGISTER_COALESCED_MMIO:
    case KVM_UNREGISTER_COALESCED_MMIO:
        return coalesced_ioctl(vm, arg, cmd == KVM_REGISTER_COALESCED_MMIO);
    case KVM_IRQFD:
    case KVM_IOEVENTFD:
        return eventfd_vm_ioctl(vm, cmd, arg);
    default:
        result = caps_vm_ioctl(vm, cmd, arg);
        if (result == -ENOTTY)
            result = kvmclock_vm_ioctl(vm, cmd, arg);
        return result == -ENOTTY ? irqchip_vm_ioctl(vm, cmd, arg) : result;
    }
}

static void vm_release(struct file *f)
{
    vm_put(f->private);
}

static const struct file_ops vm_fops = {.ioctl = vm_ioctl, .release = vm_release};

int vm_create(void)
{
    struct vm *vm = kzalloc(sizeof(*vm));

    if (!vm)
        return -ENOMEM;
    vm->refs = 1;
    list_append(&all_vms, &vm->link);
    vm->aspace = current()->aspace;
    vm->cgroup = cgroup_get(current()->cgroup);
    vm->tsc_base = rdtsc();
    vm->clock_base = clock_ns_at(vm->tsc_base);
    vm->watcher.invalidate = watcher_invalidate;
    vm->watcher.release = watcher_release;
    aspace_watch(vm->aspace, &vm->watcher);
    list_init(&vm->irqfds);
    list_init(&vm->ioeventfds);
    int fd = nested_create(vm);
    if (fd == 0) {
        vm->coalesced_page = frame_alloc_charged(vm->cgroup, FRAME_ZERO);
        fd = vm->coalesced_page ? 0 : -ENOMEM;
    }
    if (fd == 0)
        fd = anon_file_install("kvm-vm", &vm_fops, vm, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        vm_put(vm);
    return fd;
}
