// The I/O APIC: Intel 82093AA data sheet. 24 inputs, each with a redirection entry that makes an
// APIC message of it.

#include "hv/irqchip/lapic.h"

#define IOAPIC_BASE 0xfec00000UL
#define IOAPIC_SIZE 0x100
#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define INDEX_ID 0
#define INDEX_VERSION 1
#define INDEX_ARBITRATION 2
#define INDEX_TABLE 0x10
#define VERSION (0x11 | (IOAPIC_PINS - 1) << 16)

typedef typeof(((struct kvm_ioapic_state *)0)->redirtbl[0]) redirection;

static int serve(struct irqchip *c, unsigned pin)
{
    redirection *e = &c->ioapic.redirtbl[pin];

    if (e->fields.mask || (e->fields.trig_mode && e->fields.remote_irr))
        return -1;
    struct apic_message m = {
        .dest = e->fields.dest_id,
        .vector = e->fields.vector,
        .mode = e->fields.delivery_mode,
        .logical = e->fields.dest_mode,
        .level = e->fields.trig_mode,
        .assert = true,
        .lowest = e->fields.delivery_mode == APIC_MODE_LOWEST,
    };
    int taken = apic_bus_send(c->vm, &m, NULL);
    if (taken > 0 && e->fields.trig_mode)
        e->fields.remote_irr = 1;
    return taken;
}

int ioapic_set_pin(struct irqchip *c, unsigned pin, enum irq_source source, bool level)
{
    u8 *lines = &c->ioapic_lines[pin];
    u32 bit = 1u << pin, was = c->ioapic.irr & bit;

    *lines = level ? *lines | BIT(source) : *lines & ~BIT(source);
    if (!*lines) {
        c->ioapic.irr &= ~bit;
        return 1;
    }
    c->ioapic.irr |= bit;
    if (was && !c->ioapic.redirtbl[pin].fields.trig_mode)
        return 0;
    return serve(c, pin);
}

void ioapic_end(struct irqchip *c, u8 vector, bool level)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        redirection *e = &c->ioapic.redirtbl[pin];
        if (e->fields.vector != vector)
            continue;
        irqchip_acked(c, KVM_IRQCHIP_IOAPIC, pin);
        if (!level || !e->fields.trig_mode)
            continue;
        e->fields.remote_irr = 0;
        if (c->ioapic.irr & 1u << pin)
            serve(c, pin);
    }
}

// Remote IRR and the delivery status are not the guest's to write; an entry that becomes an edge's
// forgets that it waited for an end of interrupt.
static void write_redirection(struct irqchip *c, unsigned index, u32 value)
{
    unsigned pin = index / 2;
    redirection *e = &c->ioapic.redirtbl[pin], old = *e;

    if (index % 2) {
        e->bits = (u32)e->bits | (u64)value << 32;
    } else {
        e->bits = (e->bits >> 32 << 32) | value;
        e->fields.remote_irr = old.fields.remote_irr & e->fields.trig_mode;
        e->fields.delivery_status = 0;
    }
    if (old.fields.mask && !e->fields.mask)
        irqchip_unmasked(c, KVM_IRQCHIP_IOAPIC, pin);
    if (e->fields.trig_mode && (c->ioapic.irr & 1u << pin))
        serve(c, pin);
}

static void write_window(struct irqchip *c, u32 value)
{
    u32 index = c->ioapic.ioregsel;

    if (index == INDEX_ID)
        c->ioapic.id = value >> 24 & 0xf;
    else if (index >= INDEX_TABLE && index < INDEX_TABLE + 2 * IOAPIC_PINS)
        write_redirection(c, index - INDEX_TABLE, value);
}

static u32 read_window(const struct irqchip *c)
{
    u32 index = c->ioapic.ioregsel;

    if (index == INDEX_VERSION)
        return VERSION;
    if (index == INDEX_ID || index == INDEX_ARBITRATION)
        return c->ioapic.id << 24;
    if (index < INDEX_TABLE || index >= INDEX_TABLE + 2 * IOAPIC_PINS)
        return 0;
    u64 bits = c->ioapic.redirtbl[(index - INDEX_TABLE) / 2].bits;
    return index % 2 ? bits >> 32 : bits;
}

bool ioapic_mmio(struct irqchip *c, bool write, u64 gpa, u64 *value)
{
    if (gpa < IOAPIC_BASE || gpa >= IOAPIC_BASE + IOAPIC_SIZE)
        return false;
    u32 offset = gpa - IOAPIC_BASE;
    if (!write)
        *value = offset == REG_SELECT   ? c->ioapic.ioregsel
                 : offset == REG_WINDOW ? read_window(c)
                                        : 0;
    else if (offset == REG_SELECT)
        c->ioapic.ioregsel = *value & 0xff;
    else if (offset == REG_WINDOW)
        write_window(c, *value);
    return true;
}

// Lines that are high and not yet served are served now.
void ioapic_set(struct irqchip *c, const struct kvm_ioapic_state *state)
{
    c->ioapic = *state;
    c->ioapic.base_address = IOAPIC_BASE;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        c->ioapic_lines[pin] = (c->ioapic.irr >> pin & 1) << SOURCE_USER;
        if (c->ioapic_lines[pin])
            serve(c, pin);
    }
}

void ioapic_init(struct irqchip *c)
{
    c->ioapic.base_address = IOAPIC_BASE;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        c->ioapic.redirtbl[pin].fields.mask = 1;
}
