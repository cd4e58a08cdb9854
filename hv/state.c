// The parts of a vCPU's and a VM's state that only snapshots, migration and debuggers ask for:
// events, XSAVE area, XCR0, debug registers, clock. Each set takes what its get gave; what the
// hardware would refuse is EINVAL here.

#include "hv/hv.h"

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/trap.h"

#define EVENT_FLAGS                                                                                \
    (KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |                           \
     KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM)
#define TSC_TOLERANCE_PPM 250 // within it a TSC counts as one of the same frequency

static_assert(sizeof(struct kvm_xsave) == FPU_STATE_MAX, "KVM_GET_XSAVE gives the whole area");

// KVM_GET_VCPU_EVENTS. Software interrupts and exceptions are left out: their instruction runs
// again.
void vcpu_get_events(struct vcpu *v, struct kvm_vcpu_events *to)
{
    const struct hv_event *e = &v->pending;
    bool interrupt = e->valid && e->type == EVENT_INTR, masked;
    *to = (struct kvm_vcpu_events){
        .flags =
            KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM,
        .nmi.injected = e->valid && e->type == EVENT_NMI,
        .nmi.pending = v->nmis,
        .interrupt.injected = interrupt || v->irq >= 0,
        .interrupt.nr = interrupt     ? e->vector
                        : v->irq >= 0 ? v->irq
                                      : 0,
    };

    if (e->valid && e->type == EVENT_EXCEPTION) {
        to->exception.injected = 1;
        to->exception.nr = e->vector;
        to->exception.has_error_code = e->has_error;
        to->exception.error_code = e->error;
    }
    hv_ops->get_blocking(v, &to->interrupt.shadow, &masked);
    to->nmi.masked = masked;
}

static bool events_valid(const struct kvm_vcpu_events *e)
{
    if (e->flags & ~EVENT_FLAGS)
        return false;
    if (e->exception.injected && (e->exception.nr > 31 || e->exception.nr == VEC_NMI))
        return false;
    return !(e->flags & KVM_VCPUEVENT_VALID_SMM) || (!e->smi.smm && !e->smi.pending);
}

// An interrupt that user space's chips have handed over waits until the guest takes it; one of the
// kernel's chips is in service already and must be delivered.
static void set_interrupt(struct vcpu *v, u8 vector)
{
    if (!v->vm->irqchip)
        v->irq = vector;
    else if (!v->pending.valid)
        v->pending = (struct hv_event){.valid = true, .vector = vector, .type = EVENT_INTR};
}

int vcpu_set_events(struct vcpu *v, const struct kvm_vcpu_events *e)
{
    bool masked;
    u8 shadow;

    if (!events_valid(e))
        return -EINVAL;
    v->irq = -1;
    v->pending.valid = false;
    if (e->exception.injected)
        v->pending = (struct hv_event){.valid = true,
                                       .vector = e->exception.nr,
                                       .type = EVENT_EXCEPTION,
                                       .has_error = e->exception.has_error_code,
                                       .error = e->exception.error_code};
    else if (e->nmi.injected)
        v->pending = (struct hv_event){.valid = true, .vector = VEC_NMI, .type = EVENT_NMI};
    if (e->interrupt.injected && !e->interrupt.soft)
        set_interrupt(v, e->interrupt.nr);
    if (e->flags & KVM_VCPUEVENT_VALID_NMI_PENDING)
        v->nmis = min(e->nmi.pending, (u8)2);
    hv_ops->get_blocking(v, &shadow, &masked);
    if (e->flags & KVM_VCPUEVENT_VALID_SHADOW)
        shadow = e->interrupt.shadow;
    hv_ops->set_blocking(v, shadow, e->nmi.masked);
    return 0;
}

static long set_xsave(struct vcpu *v, u64 arg)
{
    struct fpu_state *new = kmalloc(sizeof(*new));
    long err = 0;

    if (!new)
        return -ENOMEM;
    if (copy_from_user(new, (void __user *)arg, sizeof(*new)))
        err = -EFAULT;
    else if (!fpu_validate(new))
        err = -EINVAL;
    else
        memcpy(v->fpu, new, sizeof(*new));
    kfree(new);
    return err;
}

bool xcr0_valid(u64 value)
{
    const u64 x87 = BIT(0), sse = BIT(1), avx = BIT(2), avx512 = BIT(5) | BIT(6) | BIT(7);

    if (!(value & x87) || (value & ~fpu_xcr0()))
        return false;
    if ((value & avx512) && (!(value & avx) || (value & avx512) != avx512))
        return false;
    return !(value & avx) || (value & sse);
}

static long get_xcrs(struct vcpu *v, u64 arg)
{
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs[0].value = v->xcr0};

    if (!fpu_xcr0())
        return -EINVAL;
    return copy_to_user((void __user *)arg, &xcrs, sizeof(xcrs));
}

// Only XCR0 exists; entries with other numbers are passed over, as KVM does.
static long set_xcrs(struct vcpu *v, u64 arg)
{
    struct kvm_xcrs xcrs;

    if (copy_from_user(&xcrs, (void __user *)arg, sizeof(xcrs)))
        return -EFAULT;
    if (!fpu_xcr0() || xcrs.nr_xcrs > KVM_MAX_XCRS || xcrs.flags)
        return -EINVAL;
    for (u32 i = 0; i < xcrs.nr_xcrs; i++) {
        if (xcrs.xcrs[i].xcr != 0)
            continue;
        if (!xcr0_valid(xcrs.xcrs[i].value))
            return -EINVAL;
        v->xcr0 = xcrs.xcrs[i].value;
        break;
    }
    return 0;
}

static long get_debugregs(struct vcpu *v, u64 arg)
{
    struct kvm_debugregs d = {.dr6 = v->dr6, .dr7 = v->dr7};

    memcpy(d.db, v->dr, sizeof(d.db));
    return copy_to_user((void __user *)arg, &d, sizeof(d));
}

static long set_debugregs(struct vcpu *v, u64 arg)
{
    struct kvm_debugregs d;

    if (copy_from_user(&d, (void __user *)arg, sizeof(d)))
        return -EFAULT;
    if (d.flags || (d.dr6 >> 32) || (d.dr7 >> 32))
        return -EINVAL;
    memcpy(v->dr, d.db, sizeof(d.db));
    v->dr6 = (d.dr6 & DR6_WRITABLE) | DR6_INIT;
    v->dr7 = (d.dr7 & DR7_WRITABLE) | DR7_INIT;
    return 0;
}

// The TSC is the host's plus an offset: it cannot run at another speed.
long tsc_khz_ioctl(u32 cmd, u64 khz)
{
    u64 host = clock_tsc_khz(), slack = host * TSC_TOLERANCE_PPM / 1000000;

    if (cmd == KVM_GET_TSC_KHZ)
        return host;
    return !khz || (khz >= host - slack && khz <= host + slack) ? 0 : -EINVAL;
}

static long get_cpuid(struct vcpu *v, u64 arg)
{
    struct kvm_cpuid2 __user *user = (void *)arg;
    struct kvm_cpuid2 head;

    if (copy_from_user(&head, user, sizeof(head)))
        return -EFAULT;
    if (head.nent < v->cpuid_count)
        return -E2BIG;
    head.nent = v->cpuid_count;
    if (copy_to_user(user->entries, v->cpuid, head.nent * sizeof(v->cpuid[0])))
        return -EFAULT;
    return copy_to_user(user, &head, sizeof(head));
}

long vcpu_state_ioctl(struct vcpu *v, u32 cmd, u64 arg)
{
    struct kvm_vcpu_events events;

    switch (cmd) {
    case KVM_GET_VCPU_EVENTS:
        vcpu_get_events(v, &events);
        return copy_to_user((void __user *)arg, &events, sizeof(events));
    case KVM_SET_VCPU_EVENTS:
        if (copy_from_user(&events, (void __user *)arg, sizeof(events)))
            return -EFAULT;
        return vcpu_set_events(v, &events);
    case KVM_GET_XSAVE:
        return copy_to_user((void __user *)arg, v->fpu, sizeof(*v->fpu));
    case KVM_SET_XSAVE:
        return set_xsave(v, arg);
    case KVM_GET_XCRS:
        return get_xcrs(v, arg);
    case KVM_SET_XCRS:
        return set_xcrs(v, arg);
    case KVM_GET_DEBUGREGS:
        return get_debugregs(v, arg);
    case KVM_SET_DEBUGREGS:
        return set_debugregs(v, arg);
    case KVM_GET_TSC_KHZ:
    case KVM_SET_TSC_KHZ:
        return tsc_khz_ioctl(cmd, arg);
    case KVM_GET_CPUID2:
        return get_cpuid(v, arg);
    default:
        return -ENOTTY;
    }
}

int state_extension(u64 cap)
{
    switch (cap) {
    case KVM_CAP_VCPU_EVENTS:
    case KVM_CAP_DEBUGREGS:
        return 1;
    case KVM_CAP_XSAVE:
    case KVM_CAP_XCRS:
        return fpu_xcr0() != 0;
    default:
        return kvmclock_extension(cap);
    }
}
