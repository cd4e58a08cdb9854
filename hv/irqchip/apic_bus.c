// From those who send interrupts to the local APICs they address: SDM 3A, 11.6.2 and 11.12.10.

#include "hv/irqchip/lapic.h"

#define BROADCAST8 0xff
#define BROADCAST32 0xffffffff

// Logical destinations: in x2APIC mode a cluster and a bit; else a bit each (flat), or a cluster of
// four.
static bool logical_match(struct lapic *l, u32 dest)
{
    u32 ldr = *lapic_reg(l, LAPIC_LDR);

    if (lapic_x2(l))
        return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
    ldr >>= 24;
    if (*lapic_reg(l, LAPIC_DFR) >> 28 == 0xf)
        return ldr & dest;
    return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
}

static bool addressed(struct lapic *l, const struct apic_message *m, struct lapic *from)
{
    if (!(l->vcpu->apic_base & APIC_BASE_ENABLED))
        return false;
    switch (m->shorthand) {
    case TO_SELF:
        return l == from;
    case TO_ALL:
        return true;
    case TO_OTHERS:
        return l != from;
    case TO_DEST:
        break;
    }
    if (m->dest == BROADCAST32 || (m->dest == BROADCAST8 && !(from && lapic_x2(from))))
        return true;
    if (m->logical)
        return logical_match(l, m->dest);
    u32 id = *lapic_reg(l, LAPIC_ID);
    return m->dest == (lapic_x2(l) ? id : id >> 24);
}

int apic_bus_send(struct vm *vm, const struct apic_message *m, struct lapic *from)
{
    struct lapic *chosen = NULL;
    int taken = 0;

    for (int i = 0; i < HV_MAX_VCPUS; i++) {
        struct lapic *l = vm->vcpu[i] ? vm->vcpu[i]->lapic : NULL;
        if (!l || !addressed(l, m, from))
            continue;
        if (!m->lowest)
            taken += lapic_accept(l, m);
        else if (*lapic_reg(l, LAPIC_SPIV) & SPIV_ENABLED && (!chosen || l->turns < chosen->turns))
            chosen = l;
    }
    if (!chosen)
        return taken;
    chosen->turns++;
    return lapic_accept(chosen, m);
}
