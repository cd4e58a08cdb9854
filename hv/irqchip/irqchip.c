// The chips of a VM as a whole: their making, and the wires between them (GSI routing).

#include "hv/irqchip/lapic.h"

#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"

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
    c->route = kzalloc_charged(HV_MAX_ROUTES * sizeof(*c->route));
    if (!c->route) {
        kfree(c);
        return -ENOMEM;
    }
    c->vm = vm;
    default_routes(c);
    pic_init(c);
    ioapic_init(c);
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

// The fields of an MSI (SDM 3A, 11.11).
int msi_send(struct vm *vm, u32 address, u32 data)
{
    bool hint = address >> 3 & 1;
    struct apic_message m = {
        .dest = address >> 12 & 0xff,
        .logical = address >> 2 & 1,
        .vector = data,
        .mode = data >> 8 & 7,
        .level = data >> 15 & 1,
        .assert = true,
        .lowest = hint || (data >> 8 & 7) == APIC_MODE_LOWEST,
    };

    return apic_bus_send(vm, &m, NULL);
}

static int drive(struct irqchip *c, const struct kvm_irq_routing_entry *e, enum irq_source source,
                 bool level)
{
    if (e->type == KVM_IRQ_ROUTING_MSI)
        return level ? msi_send(c->vm, e->u.msi.address_lo, e->u.msi.data) : -1;
    switch (e->u.irqchip.irqchip) {
    case KVM_IRQCHIP_PIC_MASTER:
        return pic_set_pin(c, e->u.irqchip.pin, source, level);
    case KVM_IRQCHIP_PIC_SLAVE:
        return pic_set_pin(c, 8 + e->u.irqchip.pin, source, level);
    default:
        return ioapic_set_pin(c, e->u.irqchip.pin, source, level);
    }
}

// A GSI leads to one pin of each chip at most, or to an MSI alone.
bool route_valid(const struct kvm_irq_routing_entry *route, u32 index)
{
    const struct kvm_irq_routing_entry *e = &route[index];
    bool chip = e->type == KVM_IRQ_ROUTING_IRQCHIP;

    if (e->gsi >= HV_MAX_ROUTES || e->flags)
        return false;
    if (chip
            ? e->u.irqchip.irqchip > KVM_IRQCHIP_IOAPIC ||
                  e->u.irqchip.pin >= (e->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC ? IOAPIC_PINS : 8)
            : e->type != KVM_IRQ_ROUTING_MSI || e->u.msi.address_hi)
        return false;
    for (u32 i = 0; i < index; i++) {
        if (route[i].gsi == e->gsi && (!chip || route[i].type != e->type ||
                                       route[i].u.irqchip.irqchip == e->u.irqchip.irqchip))
            return false;
    }
    return true;
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

// The GSI that leads to a chip's pin.
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

    if (!gsi_of(c, chip, pin, &gsi))
        return;
    if (gsi == 0 && c->vm->pit)
        pit_acked(c->vm->pit);
    irqfd_acked(c->vm, gsi);
}

void irqchip_unmasked(struct irqchip *c, u32 chip, unsigned pin)
{
    u32 gsi;

    if (gsi_of(c, chip, pin, &gsi) && gsi == 0 && c->vm->pit)
        pit_reset_reinject(c->vm->pit);
}

static bool write_waited_for(struct vm *vm, bool pio, u64 addr, u8 size, u64 value)
{
    return ioeventfd_write(vm, pio, addr, size, value) ||
           coalesced_write(vm, pio, addr, size, value);
}

static bool waits_for_writes(const struct vm *vm)
{
    return vm->zones_used || !list_empty(&vm->ioeventfds);
}

// Whether an access lies within the ports of one chip; a wider one is not theirs.
static bool within_chip(u16 port, u8 size)
{
    static const struct {
        u16 first, count;
    } ports[] = {{0x20, 2}, {0xa0, 2}, {0x4d0, 2}, {0x40, 4}, {0x61, 1}};

    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        if (port >= ports[i].first && port + size <= ports[i].first + ports[i].count)
            return true;
    }
    return false;
}

// The ports of the chips are a byte wide: a wider access reads as zeros, and writes nothing.
bool irqchip_port(struct vm *vm, bool in, u16 port, u8 size, u32 *value)
{
    u8 byte = *value;

    if ((size > 1 && !within_chip(port, size)) ||
        (!(vm->irqchip && pic_port(vm->irqchip, in, port, &byte)) &&
         !(vm->pit && pit_port(vm->pit, in, port, &byte))))
        return !in && waits_for_writes(vm) && write_waited_for(vm, true, port, size, *value);
    if (in)
        *value = byte;
    return true;
}

bool irqchip_mmio(struct vcpu *v, bool write, u64 gpa, u8 size, u64 *value)
{
    return (v->lapic && lapic_mmio(v->lapic, write, gpa, size, value)) ||
           (v->vm->irqchip && ioapic_mmio(v->vm->irqchip, write, gpa, value)) ||
           (write && waits_for_writes(v->vm) && write_waited_for(v->vm, false, gpa, size, *value));
}
