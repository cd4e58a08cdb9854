// KVM's paravirtual clock (Documentation/virt/kvm/x86/msr.rst): the guest reads the time from a
// page of its own and its TSC, without an exit. The host writes the page when the guest asks for
// it, and again when the guest's TSC or the VM's clock is set: the TSC of the host never changes
// its pace.

#include "hv/hv.h"

#include <linux/kvm_para.h>

#include "kernel/lib/err.h"
#include "kernel/mm/usercopy.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"

#define CLOCK_FLAGS (KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC)
#define PVCLOCK_TSC_STABLE BIT(0) // the clocks of all vCPUs agree
#define PVCLOCK_GUEST_STOPPED BIT(1)

// An odd version says that the rest is being written.
struct pvclock_vcpu_time_info {
    u32 version, pad0;
    u64 tsc_timestamp; // at this TSC of the guest it was
    u64 system_time;   // so many nanoseconds
    u32 tsc_to_system_mul;
    s8 tsc_shift; // ns = (ticks << shift) * mul >> 32
    u8 flags, pad1[2];
};
static_assert(sizeof(struct pvclock_vcpu_time_info) == 32, "as KVM's guests read it");

struct pvclock_wall_clock {
    u32 version, sec, nsec; // the real time when system_time was 0
};

static void set_scale(struct pvclock_vcpu_time_info *info)
{
    u64 mul = clock_ns_per_tick();

    for (; mul >> 32; mul >>= 1)
        info->tsc_shift++;
    for (; !(mul >> 31); mul <<= 1)
        info->tsc_shift--;
    info->tsc_to_system_mul = mul;
}

// The version goes from even to odd before the rest changes and to the next even number after it:
// another vCPU may be reading.
static void publish(struct vm *vm, u64 gpa, u32 *info, size_t size)
{
    u32 version;

    if (guest_read(vm, gpa, &version, sizeof(version)))
        return;
    info[0] = version | 1;
    if (guest_write(vm, gpa, info, sizeof(u32)) || guest_write(vm, gpa, info, size))
        return;
    info[0]++;
    guest_write(vm, gpa, info, sizeof(u32));
}

void kvmclock_update(struct vcpu *v)
{
    struct vm *vm = v->vm;
    struct pvclock_vcpu_time_info info = {
        .tsc_timestamp = vm->tsc_base + v->tsc_offset,
        .system_time = clock_ns_at(vm->tsc_base) - vm->clock_base,
        .flags = PVCLOCK_TSC_STABLE | (v->clock_stopped ? PVCLOCK_GUEST_STOPPED : 0),
    };

    v->clock_stale = v->clock_stopped = false;
    set_scale(&info);
    publish(vm, v->clock_msr & ~(u64)KVM_MSR_ENABLED, (u32 *)&info, sizeof(info));
}

void kvmclock_changed(struct vcpu *v)
{
    v->clock_stale = v->clock_msr & KVM_MSR_ENABLED;
}

static void write_wall_clock(struct vm *vm)
{
    u64 ns = clock_realtime_offset() + vm->clock_base;
    struct pvclock_wall_clock wall = {.sec = ns / NSEC_PER_SEC, .nsec = ns % NSEC_PER_SEC};

    publish(vm, vm->wall_clock_msr, (u32 *)&wall, sizeof(wall));
}

int kvmclock_get_msr(struct vcpu *v, u32 msr, u64 *value)
{
    switch (msr) {
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_NEW:
        *value = v->clock_msr;
        return 0;
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_NEW:
        *value = v->vm->wall_clock_msr;
        return 0;
    default:
        return 1;
    }
}

int kvmclock_set_msr(struct vcpu *v, u32 msr, u64 value)
{
    switch (msr) {
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_NEW:
        v->clock_msr = value;
        kvmclock_changed(v);
        return 0;
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_NEW:
        v->vm->wall_clock_msr = value;
        write_wall_clock(v->vm);
        return 0;
    default:
        return 1;
    }
}

// KVM_KVMCLOCK_CTRL: the guest learns that it was stopped, and its watchdogs forgive it.
int kvmclock_stopped(struct vcpu *v)
{
    if (!(v->clock_msr & KVM_MSR_ENABLED))
        return -EINVAL;
    v->clock_stopped = v->clock_stale = true;
    return 0;
}

// KVM_GET_CLOCK, KVM_SET_CLOCK: nanoseconds since the VM's creation, or since what was set.
static long get_clock(struct vm *vm, u64 arg)
{
    u64 tsc = rdtsc(), now = clock_ns_at(tsc);
    struct kvm_clock_data data = {.clock = now - vm->clock_base,
                                  .flags = CLOCK_FLAGS,
                                  .realtime = now + clock_realtime_offset(),
                                  .host_tsc = tsc};

    return copy_to_user((void __user *)arg, &data, sizeof(data));
}

// With KVM_CLOCK_REALTIME the time that has passed since the get counts, too.
static long set_clock(struct vm *vm, u64 arg)
{
    struct kvm_clock_data data;

    if (copy_from_user(&data, (void __user *)arg, sizeof(data)))
        return -EFAULT;
    if (data.flags & ~CLOCK_FLAGS)
        return -EINVAL;
    u64 now = clock_ns(), realtime = now + clock_realtime_offset();
    if ((data.flags & KVM_CLOCK_REALTIME) && realtime > data.realtime)
        data.clock += realtime - data.realtime;
    vm->clock_base = now - data.clock;
    for (int i = 0; i < HV_MAX_VCPUS; i++) {
        if (vm->vcpu[i])
            kvmclock_changed(vm->vcpu[i]);
    }
    return 0;
}

long kvmclock_vm_ioctl(struct vm *vm, u32 cmd, u64 arg)
{
    switch (cmd) {
    case KVM_GET_CLOCK:
        return get_clock(vm, arg);
    case KVM_SET_CLOCK:
        return set_clock(vm, arg);
    default:
        return -ENOTTY;
    }
}

int kvmclock_extension(u64 cap)
{
    switch (cap) {
    case KVM_CAP_ADJUST_CLOCK:
        return CLOCK_FLAGS;
    case KVM_CAP_KVMCLOCK_CTRL:
        return 1;
    default:
        return 0;
    }
}
