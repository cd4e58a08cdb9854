// The ioctls of VMs and vCPUs that concern the chips; their state goes in and out as
// linux/kvm.h has it, and what comes in may be anything.

#include "hv/irqchip/lapic.h"

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"

static long ioctl_line(struct vm *vm, u64 arg, bool want_status)
{
    struct kvm_irq_level line;

    if (copy_from_user(&line, (void __user *)arg, sizeof(line)))
        return -EFAULT;
    if (!vm->irqchip)
        return -ENXIO;
    line.status = irqchip_line(vm, SOURCE_USER, line.irq, line.level);
    return want_status ? copy_to_user((void __user *)arg, &line, sizeof(line)) : 0;
}

static long ioctl_create_pit(struct vm *vm, u64 arg, bool has_config)
{
    struct kvm_pit_config config = {.flags = KVM_PIT_SPEAKER_DUMMY};

    if (has_config && copy_from_user(&config, (void __user *)arg, sizeof(config)))
        return -EFAULT;
    return vm->irqchip ? pit_create(vm, &config) : -ENOENT;
}

static long ioctl_set_routing(struct vm *vm, u64 arg)
{
    struct kvm_irq_routing __user *user = (void *)arg;
    struct kvm_irq_routing head;

    if (copy_from_user(&head, user, sizeof(head)))
        return -EFAULT;
    if (!vm->irqchip || head.flags || head.nr > HV_MAX_ROUTES)
        return -EINVAL;
    struct kvm_irq_routing_entry *e = kzalloc_charged(HV_MAX_ROUTES * sizeof(*e));
    if (!e)
        return -ENOMEM;
    long err = copy_from_user(e, user->entries, head.nr * sizeof(*e));
    for (u32 i = 0; i < head.nr && !err; i++)
        err = route_valid(e, i) ? 0 : -EINVAL;
    if (err) {
        kfree(e);
        return err;
    }
    kfree(vm->irqchip->route);
    vm->irqchip->route = e;
    vm->irqchip->route_count = head.nr;
    return 0;
}

static long ioctl_signal_msi(struct vm *vm, u64 arg)
{
    struct kvm_msi msi;

    if (copy_from_user(&msi, (void __user *)arg, sizeof(msi)))
        return -EFAULT;
    if (!vm->irqchip || msi.flags || msi.address_hi)
        return -EINVAL;
    return msi_send(vm, msi.address_lo, msi.data);
}

static void set_pic(struct irqchip *c, int chip, const struct kvm_pic_state *s)
{
    u8 elcr_mask = c->pic[chip].elcr_mask;

    c->pic[chip] = *s;
    c->pic[chip].elcr_mask = elcr_mask;
    c->pic[chip].elcr &= elcr_mask;
    c->pic[chip].priority_add &= 7;
    c->pic[chip].init_state &= 3;
    pic_update(c);
}

static long ioctl_chip(struct vm *vm, u64 arg, bool set)
{
    struct kvm_irqchip *chip = kzalloc_charged(sizeof(*chip));
    struct irqchip *c = vm->irqchip;
    long err = -EFAULT;

    if (!chip)
        return -ENOMEM;
    if (copy_from_user(chip, (void __user *)arg, sizeof(*chip)))
        goto out;
    err = !c ? -ENXIO : chip->chip_id > KVM_IRQCHIP_IOAPIC ? -EINVAL : 0;
    if (err)
        goto out;
    if (chip->chip_id == KVM_IRQCHIP_IOAPIC) {
        if (set)
            ioapic_set(c, &chip->chip.ioapic);
        else
            chip->chip.ioapic = c->ioapic;
    } else if (set) {
        set_pic(c, chip->chip_id, &chip->chip.pic);
    } else {
        chip->chip.pic = c->pic[chip->chip_id];
    }
    if (!set)
        err = copy_to_user((void __user *)arg, chip, sizeof(*chip));
out:
    kfree(chip);
    return err;
}

static long ioctl_get_pit(struct vm *vm, u64 arg)
{
    if (!vm->pit)
        return -ENXIO;
    return copy_to_user((void __user *)arg, &vm->pit->state, sizeof(vm->pit->state));
}

static long ioctl_set_pit(struct vm *vm, u64 arg)
{
    struct kvm_pit_state2 state;

    if (copy_from_user(&state, (void __user *)arg, sizeof(state)))
        return -EFAULT;
    if (!vm->pit)
        return -ENXIO;
    pit_set(vm->pit, &state);
    return 0;
}

static long ioctl_reinject_control(struct vm *vm, u64 arg)
{
    struct kvm_reinject_control control;

    if (copy_from_user(&control, (void __user *)arg, sizeof(control)))
        return -EFAULT;
    if (!vm->pit)
        return -ENXIO;
    vm->pit->reinject = control.pit_reinject;
    pit_reset_reinject(vm->pit);
    return 0;
}

long irqchip_vm_ioctl(struct vm *vm, u32 cmd, u64 arg)
{
    switch (cmd) {
    case KVM_CREATE_IRQCHIP:
        return irqchip_create(vm);
    case KVM_IRQ_LINE:
        return ioctl_line(vm, arg, false);
    case KVM_IRQ_LINE_STATUS:
        return ioctl_line(vm, arg, true);
    case KVM_CREATE_PIT:
        return ioctl_create_pit(vm, arg, false);
    case KVM_CREATE_PIT2:
        return ioctl_create_pit(vm, arg, true);
    case KVM_SET_GSI_ROUTING:
        return ioctl_set_routing(vm, arg);
    case KVM_SIGNAL_MSI:
        return ioctl_signal_msi(vm, arg);
    case KVM_GET_IRQCHIP:
        return ioctl_chip(vm, arg, false);
    case KVM_SET_IRQCHIP:
        return ioctl_chip(vm, arg, true);
    case KVM_GET_PIT2:
        return ioctl_get_pit(vm, arg);
    case KVM_SET_PIT2:
        return ioctl_set_pit(vm, arg);
    case KVM_REINJECT_CONTROL:
        return ioctl_reinject_control(vm, arg);
    default:
        return -ENOTTY;
    }
}

static long ioctl_get_lapic(struct vcpu *v, u64 arg)
{
    struct lapic *l = v->lapic;
    u32 *id = lapic_reg(l, LAPIC_ID), real = *id;

    lapic_ppr(l);
    *lapic_reg(l, LAPIC_CURRENT_COUNT) = lapic_timer_count(l);
    if (lapic_x2(l) && !v->vm->x2apic_ids)
        *id <<= 24;
    long err = copy_to_user((void __user *)arg, l->reg, sizeof(l->reg));
    *id = real;
    return err;
}

// The timer goes on from the count that was saved. What cannot be read changes nothing.
static long ioctl_set_lapic(struct vcpu *v, u64 arg)
{
    struct lapic *l = v->lapic;
    u32 id = *lapic_reg(l, LAPIC_ID), version = *lapic_reg(l, LAPIC_VERSION);
    struct kvm_lapic_state new;

    static_assert(sizeof(new) == sizeof(l->reg), "KVM_SET_LAPIC sets all registers");
    if (copy_from_user(&new, (void __user *)arg, sizeof(new)))
        return -EFAULT;
    lapic_timer_stop(l);
    memcpy(l->reg, &new, sizeof(new));
    if (lapic_x2(l))
        *lapic_reg(l, LAPIC_ID) = id;
    *lapic_reg(l, LAPIC_VERSION) = version;
    *lapic_reg(l, LAPIC_DIVIDE) &= 0xb;
    lapic_refresh(l);
    lapic_timer_resume(l, *lapic_reg(l, LAPIC_CURRENT_COUNT));
    return 0;
}

static long ioctl_get_mp_state(struct vcpu *v, u64 arg)
{
    vcpu_take_starts(v);
    struct kvm_mp_state state = {.mp_state = v->mp_state};

    return copy_to_user((void __user *)arg, &state, sizeof(state));
}

static long ioctl_set_mp_state(struct vcpu *v, u64 arg)
{
    struct kvm_mp_state state;

    if (copy_from_user(&state, (void __user *)arg, sizeof(state)))
        return -EFAULT;
    if (state.mp_state > KVM_MP_STATE_SIPI_RECEIVED ||
        (!v->lapic && state.mp_state != KVM_MP_STATE_RUNNABLE))
        return -EINVAL;
    v->sipi_pending = state.mp_state == KVM_MP_STATE_SIPI_RECEIVED;
    v->mp_state = v->sipi_pending ? KVM_MP_STATE_INIT_RECEIVED : state.mp_state;
    return 0;
}

long irqchip_vcpu_ioctl(struct vcpu *v, u32 cmd, u64 arg)
{
    switch (cmd) {
    case KVM_GET_LAPIC:
        return v->lapic ? ioctl_get_lapic(v, arg) : -EINVAL;
    case KVM_SET_LAPIC:
        return v->lapic ? ioctl_set_lapic(v, arg) : -EINVAL;
    case KVM_GET_MP_STATE:
        return ioctl_get_mp_state(v, arg);
    case KVM_SET_MP_STATE:
        return ioctl_set_mp_state(v, arg);
    default:
        return -EINVAL;
    }
}
