// A vCPU: its descriptor, its ioctls but KVM_RUN, and its life.

#include "hv/exits.h"

#include <linux/fcntl.h>
#include <linux/mman.h>

#include "kernel/fs/vfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/mm/vmobject.h"
#include "kernel/task/signal.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/log.h"

#define FXSAVE_AREA 512

// The guest's XCR0 is in the CPU while the vCPU is loaded: the kernel's own counts only where XSAVE
// is used. Guests change it without an exit on CPUs that do not intercept XSETBV.
static void switch_xcr0(struct vcpu *v, bool to_guest)
{
    u64 host = fpu_xcr0();

    if (!host)
        return;
    if (!to_guest)
        v->xcr0 = xgetbv(0);
    if (v->xcr0 != host)
        xsetbv(0, to_guest ? v->xcr0 : host);
}

void vcpu_load(struct vcpu *v)
{
    if (v->loaded)
        return;
    hv_ops->vcpu_load(v);
    v->loaded = true;
    fpu_save(current()->fpu);
    fpu_restore(v->fpu);
    debug_load(v);
    switch_xcr0(v, true);
}

void vcpu_put(struct vcpu *v)
{
    if (!v->loaded)
        return;
    v->loaded = false;
    switch_xcr0(v, false);
    debug_unload(v);
    fpu_save(v->fpu);
    fpu_restore(current()->fpu);
    hv_ops->vcpu_put(v);
}

static void vcpu_free(struct vcpu *v)
{
    if (v->vendor)
        hv_ops->vcpu_destroy(v);
    if (v->run_object)
        vmobject_put(v->run_object);
    for (int i = 0; i < HV_RUN_PAGES; i++) {
        if (v->run_page[i])
            page_put(v->run_page[i]);
    }
    lapic_destroy(v);
    kfree(v->completion.insn);
    kfree(v->fpu);
    kfree(v);
}

void vcpu_destroy(struct vcpu *v)
{
    struct vm *vm = v->vm;

    vm->vcpu[v->id] = NULL;
    vcpu_free(v);
    vm_put(vm);
}

// The x87 and SSE part of struct kvm_fpu is FXSAVE's: SDM 1, table 10-2.
static long ioctl_get_fpu(struct vcpu *v, u64 arg)
{
    struct kvm_fpu fpu = {0};
    const u8 *x = v->fpu->bytes;

    memcpy(&fpu.fcw, x, 2);
    memcpy(&fpu.fsw, x + 2, 2);
    fpu.ftwx = x[4];
    memcpy(&fpu.last_opcode, x + 6, 2);
    memcpy(&fpu.last_ip, x + 8, 8);
    memcpy(&fpu.last_dp, x + 16, 8);
    memcpy(&fpu.mxcsr, x + 24, 4);
    memcpy(fpu.fpr, x + 32, sizeof(fpu.fpr));
    memcpy(fpu.xmm, x + 160, sizeof(fpu.xmm));
    return copy_to_user((void __user *)arg, &fpu, sizeof(fpu));
}

static long ioctl_set_fpu(struct vcpu *v, u64 arg)
{
    struct kvm_fpu fpu;
    u8 *x = v->fpu->bytes,
       old[FXSAVE_AREA + 1]; // what is written below, and XSTATE_BV's first byte

    if (copy_from_user(&fpu, (void __user *)arg, sizeof(fpu)))
        return -EFAULT;
    memcpy(old, x, sizeof(old));
    memcpy(x, &fpu.fcw, 2);
    memcpy(x + 2, &fpu.fsw, 2);
    x[4] = fpu.ftwx;
    memcpy(x + 6, &fpu.last_opcode, 2);
    memcpy(x + 8, &fpu.last_ip, 8);
    memcpy(x + 16, &fpu.last_dp, 8);
    memcpy(x + 24, &fpu.mxcsr, 4);
    memcpy(x + 32, fpu.fpr, sizeof(fpu.fpr));
    memcpy(x + 160, fpu.xmm, sizeof(fpu.xmm));
    x[512] |= 3; // XSTATE_BV: x87 and SSE are in use
    if (fpu_validate(v->fpu))
        return 0;
    memcpy(x, old, sizeof(old));
    return -EINVAL;
}

static long ioctl_interrupt(struct vcpu *v, u64 arg)
{
    struct kvm_interrupt irq;

    if (copy_from_user(&irq, (void __user *)arg, sizeof(irq)))
        return -EFAULT;
    if (irq.irq > 255)
        return -EINVAL;
    if (v->vm->irqchip)
        return -ENXIO;
    if (v->irq >= 0)
        return -EEXIST;
    v->irq = irq.irq;
    return 0;
}

// One NMI waits for the IRET of another; without one, a second may wait behind the first.
static long ioctl_nmi(struct vcpu *v)
{
    bool masked;
    u8 shadow;

    hv_ops->get_blocking(v, &shadow, &masked);
    v->nmis = min(v->nmis + 1, masked ? 1 : 2);
    return 0;
}

static long ioctl_set_signal_mask(struct vcpu *v, u64 arg)
{
    struct kvm_signal_mask __user *user = (void *)arg;
    struct kvm_signal_mask head;

    v->has_sigmask = false;
    if (!arg)
        return 0;
    if (copy_from_user(&head, user, sizeof(head)))
        return -EFAULT;
    if (head.len != sizeof(u64))
        return -EINVAL;
    if (copy_from_user(&v->sigmask, user->sigset, sizeof(u64)))
        return -EFAULT;
    v->has_sigmask = true;
    return 0;
}

static long vcpu_ioctl_locked(struct vcpu *v, u32 cmd, u64 arg)
{
    long result;

    switch (cmd) {
    case KVM_RUN:
        return arg ? -EINVAL : vcpu_run(v);
    case KVM_GET_FPU:
        return ioctl_get_fpu(v, arg);
    case KVM_SET_FPU:
        return ioctl_set_fpu(v, arg);
    case KVM_GET_MSRS:
        return msrs_ioctl(v, arg, false);
    case KVM_SET_MSRS:
        return msrs_ioctl(v, arg, true);
    case KVM_SET_CPUID2:
        return cpuid_set(v, arg);
    case KVM_HAS_DEVICE_ATTR:
    case KVM_GET_DEVICE_ATTR:
    case KVM_SET_DEVICE_ATTR:
        return vcpu_attribute(v, cmd, arg);
    case KVM_INTERRUPT:
        return ioctl_interrupt(v, arg);
    case KVM_SET_GUEST_DEBUG:
        return debug_set(v, arg);
    case KVM_NMI:
        return ioctl_nmi(v);
    case KVM_GET_STATS_FD:
        return stats_open(v->vm, v->id);
    case KVM_KVMCLOCK_CTRL:
        return kvmclock_stopped(v);
    case KVM_SET_SIGNAL_MASK:
        return ioctl_set_signal_mask(v, arg);
    default:
        result = vcpu_regs_ioctl(v, cmd, arg);
        if (result == -ENOTTY)
            result = vcpu_state_ioctl(v, cmd, arg);
        return result == -ENOTTY ? irqchip_vcpu_ioctl(v, cmd, arg) : result;
    }
}

// One ioctl at a time on one vCPU: whoever comes while it runs waits, and a signal ends the wait.
static long vcpu_ioctl(struct file *f, u32 cmd, u64 arg)
{
    struct vcpu *v = f->private;

    if (v->vm->aspace != current()->aspace)
        return -EIO;
    if (wait_event(&v->idle, !v->running))
        return -EINTR;
    v->running = true;
    long result = vcpu_ioctl_locked(v, cmd, arg);
    v->running = false;
    if (!wait_queue_empty(&v->idle))
        wake_one(&v->idle);
    return result;
}

static int vcpu_mmap(struct file *f, u64 offset, u64 len, u32 prot, u32 flags,
                     struct vmobject **obj, u64 *page_offset)
{
    struct vcpu *v = f->private;

    if (offset / PAGE_SIZE + len / PAGE_SIZE > HV_RUN_PAGES)
        return -EINVAL;
    *obj = v->run_object;
    *page_offset = offset / PAGE_SIZE;
    return 0;
}

static void vcpu_release(struct file *f)
{
    vcpu_destroy(f->private);
}

static const struct file_ops vcpu_fops = {
    .ioctl = vcpu_ioctl, .mmap = vcpu_mmap, .release = vcpu_release};

static int vcpu_alloc_run(struct vcpu *v)
{
    v->run_page[HV_RUN_PAGES - 1] = page_get(v->vm->coalesced_page);
    for (int i = 0; i < HV_RUN_PAGES - 1; i++) {
        v->run_page[i] = frame_alloc(0, FRAME_ZERO);
        if (!v->run_page[i])
            return -ENOMEM;
    }
    v->run = page_to_virt(v->run_page[0]);
    v->fpu = kzalloc(sizeof(*v->fpu));
    if (!v->fpu)
        return -ENOMEM;
    struct vmobject *obj = pages_object_create(v->run_page, HV_RUN_PAGES);
    if (IS_ERR(obj))
        return PTR_ERR(obj);
    v->run_object = obj;
    return 0;
}

static int vcpu_setup(struct vcpu *v)
{
    int err = vcpu_alloc_run(v);

    if (err)
        return err;
    wait_queue_init(&v->idle);
    wait_queue_init(&v->halt);
    fpu_state_init(v->fpu);
    v->irq = -1;
    v->xcr0 = 1;
    v->apic_base = 0xfee00000 | BIT(11) | (vcpu_boots(v) ? APIC_BASE_BSP : 0);
    v->mp_state =
        v->vm->irqchip && !vcpu_boots(v) ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE;
    v->pat = 0x0007040600070406;
    v->tsc_offset = -v->vm->tsc_base;
    err = lapic_create(v);
    return err ? err : hv_ops->vcpu_create(v);
}

int vcpu_create(struct vm *vm, u32 id)
{
    if (id >= (vm->max_vcpu_id ?: HV_MAX_VCPUS))
        return -EINVAL;
    if (vm->vcpu[id])
        return -EEXIST;
    struct vcpu *v = kzalloc(sizeof(*v));
    if (!v)
        return -ENOMEM;
    v->vm = vm;
    v->id = id;
    int err = vcpu_setup(v);
    if (err) {
        vcpu_free(v);
        return err;
    }
    vm_get(vm);
    vm->vcpu[id] = v;
    int fd = anon_file_install("kvm-vcpu", &vcpu_fops, v, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        vcpu_destroy(v);
    return fd;
}
