// The chips of a VM as a whole: their making, and the wires between them (GSI routing).

#include "hv/irqchip/irqchip.h"

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"

// The routes that a VM starts with: each GSI below 16 to its input of the 8259 pair, each below 24
// to the pin of the I/O APIC with its number.
static void default_routes(struct irqchip *c)
{
    struct kvm_irq_routing_entry *e = c->route;

    for (u32 gsi = 0; gsi < IOAPIC_PINS; gsi++) {
        *e++ = (struct kvm_irq_routing_entry){
            .gsi = gsi,
            .type = KVM_IRQ_ROUTING_IRQCHIP,
            .u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = gsi}};
        if (gsi < PIC_PINS)
            *e++ = (struct kvm_irq_routing_entry){
                .gsi = gsi,
                .type = KVM_IRQ_ROUTING_IRQCHIP,
                .u.irqchip = {.irqchip = gsi / 8 ? KVM_IRQCHIP_PIC_SLAVE : KVM_IRQCHIP_PIC_MASTER,
                              .pin = gsi % 8}};
    }
    c->route_count = e - c->route;
}

int irqchip_create(struct vm *vm)
{
    if (vm->irqchip)
        return -EEXIST;
    for (int i = 0; i < HV_MAX_VCPUS; i++) {
        if (vm->vcpu[i])
            return -EINVAL;
    }
    struct irqchip *c = kzalloc_charged(sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->route = kzalloc_charged(MAX_ROUTES * sizeof(*c->route));
    if (!c->route) {
        kfree(c);
        return -ENOMEM;
    }
    c->vm = vm;
    default_routes(c);
    pic_init(c);
    vm->irqchip = c;
    return 0;
}

void irqchip_destroy(struct vm *vm)
{
    pit_destroy(vm);
    if (!vm->irqchip)
        return;
    kfree(vm->irqchip->route);
    kfree(vm->irqchip);
    vm->irqchip = NULL;
}

static int drive(struct irqchip *c, const struct kvm_irq_routing_entry *e, enum irq_source source,
                 bool level)
{
    switch (e->u.irqchip.irqchip) {
    case KVM_IRQCHIP_PIC_MASTER:
        return pic_set_pin(c, e->u.irqchip.pin, source, level);
    case KVM_IRQCHIP_PIC_SLAVE:
        return pic_set_pin(c, 8 + e->u.irqchip.pin, source, level);
    default:
        return -1;
    }
}

int irqchip_line(struct vm *vm, enum irq_source source, u32 gsi, bool level)
{
    struct irqchip *c = vm->irqchip;
    int result = -1;

    for (u32 i = 0; c && i < c->route_count; i++) {
        if (c->route[i].gsi != gsi)
            continue;
        int status = drive(c, &c->route[i], source, level);
        if (status >= 0)
            result = status + max(result, 0);
    }
    return result;
}

// Calls fn with the GSI that leads to a chip's pin.
static bool gsi_of(const struct irqchip *c, u32 chip, unsigned pin, u32 *gsi)
{
    for (u32 i = 0; i < c->route_count; i++) {
        const struct kvm_irq_routing_entry *e = &c->route[i];
        if (e->type == KVM_IRQ_ROUTING_IRQCHIP && e->u.irqchip.irqchip == chip &&
            e->u.irqchip.pin == pin) {
            *gsi = e->gsi;
            return true;
        }
    }
    return false;
}

void irqchip_acked(struct irqchip *c, u32 chip, unsigned pin)
{
    u32 gsi;

    if (gsi_of(c, chip, pin, &gsi) && gsi == 0 && c->vm->pit)
        pit_acked(c->vm->pit);
}

void irqchip_unmasked(struct irqchip *c, u32 chip, unsigned pin)
{
    u32 gsi;

    if (gsi_of(c, chip, pin, &gsi) && gsi == 0 && c->vm->pit)
        pit_reset_reinject(c->vm->pit);
}

// The ports of the chips are a byte wide: a wider access reads as zeros, and writes nothing.
bool irqchip_port(struct vm *vm, bool in, u16 port, u8 size, u32 *value)
{
    u8 byte = *value;

    if (!(vm->irqchip && pic_port(vm->irqchip, in, port, &byte)) &&
        !(vm->pit && pit_port(vm->pit, in, port, &byte)))
        return false;
    if (in)
        *value = byte;
    return true;
}

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
    default:
        return -ENOTTY;
    }
}
