// The local APIC's interrupts: taken in, put in order, delivered, ended. SDM 3A, 11.8.

#include "hv/irqchip/lapic.h"

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"

#define WORDS 8 // of 32 vectors, 16 bytes apart

static u32 *vector_word(struct lapic *l, enum lapic_reg set, u8 vector)
{
    return lapic_reg(l, set + vector / 32 * 16);
}

static void set_vector(struct lapic *l, enum lapic_reg set, u8 vector, bool on)
{
    u32 *word = vector_word(l, set, vector), bit = 1u << vector % 32;

    *word = on ? *word | bit : *word & ~bit;
}

static bool test_vector(struct lapic *l, enum lapic_reg set, u8 vector)
{
    return *vector_word(l, set, vector) >> vector % 32 & 1;
}

static int highest(struct lapic *l, enum lapic_reg set)
{
    for (int i = WORDS - 1; i >= 0; i--) {
        u32 word = *lapic_reg(l, set + 16 * i);
        if (word)
            return 32 * i + 31 - __builtin_clz(word);
    }
    return -1;
}

static bool enabled(struct lapic *l)
{
    return (l->vcpu->apic_base & APIC_BASE_ENABLED) && (*lapic_reg(l, LAPIC_SPIV) & SPIV_ENABLED);
}

// The processor priority: the higher class of the task's and of what is in service.
void lapic_ppr(struct lapic *l)
{
    u32 tpr = *lapic_reg(l, LAPIC_TPR) & 0xff, serving = max(highest(l, LAPIC_ISR), 0);

    *lapic_reg(l, LAPIC_PPR) = (tpr & 0xf0) >= (serving & 0xf0) ? tpr : serving & 0xf0;
}

int lapic_pending(struct lapic *l)
{
    if (!l->irr_used || !(l->vcpu->apic_base & APIC_BASE_ENABLED))
        return -1;
    int vector = highest(l, LAPIC_IRR);
    l->irr_used = vector >= 0;
    if (vector < 0)
        return -1;
    lapic_ppr(l);
    return ((u32)vector & 0xf0) > (*lapic_reg(l, LAPIC_PPR) & 0xf0) ? vector : -1;
}

void lapic_take(struct lapic *l, u8 vector)
{
    set_vector(l, LAPIC_IRR, vector, false);
    set_vector(l, LAPIC_ISR, vector, true);
    lapic_ppr(l);
}

void lapic_end(struct lapic *l)
{
    int vector = highest(l, LAPIC_ISR);

    if (vector < 0)
        return;
    set_vector(l, LAPIC_ISR, vector, false);
    lapic_ppr(l);
    ioapic_end(l->vcpu->vm->irqchip, vector, test_vector(l, LAPIC_TMR, vector));
}

void lapic_error(struct lapic *l, u32 bit)
{
    bool fresh = !(l->errors & bit);

    l->errors |= bit;
    if (fresh)
        lapic_local(l, LAPIC_LVT_ERROR);
}

static int accept_vector(struct lapic *l, const struct apic_message *m)
{
    if (!enabled(l) || (m->level && !m->assert))
        return 0;
    if (m->vector < 16) {
        lapic_error(l, ESR_RECEIVE_ILLEGAL);
        return 0;
    }
    set_vector(l, LAPIC_TMR, m->vector, m->level);
    set_vector(l, LAPIC_IRR, m->vector, true);
    l->irr_used = true;
    return 1;
}

int lapic_accept(struct lapic *l, const struct apic_message *m)
{
    struct vcpu *v = l->vcpu;
    int taken = 1;

    switch (m->mode) {
    case APIC_MODE_FIXED:
    case APIC_MODE_LOWEST:
        taken = accept_vector(l, m);
        break;
    case APIC_MODE_NMI:
        v->nmis = min(v->nmis + 1, 2);
        break;
    case APIC_MODE_INIT:
        if (m->level && !m->assert)
            return 1;
        v->init_pending = true;
        v->sipi_pending = false;
        break;
    case APIC_MODE_STARTUP:
        if (v->sipi_pending || (!v->init_pending && v->mp_state != KVM_MP_STATE_INIT_RECEIVED))
            return 1;
        v->sipi_pending = true;
        v->sipi_vector = m->vector;
        break;
    default: // SMI, and ExtINT, which is the 8259 pair's own wire
        return 0;
    }
    if (taken)
        vcpu_kick(v);
    return taken;
}

void lapic_local(struct lapic *l, enum lapic_reg lvt)
{
    u32 entry = *lapic_reg(l, lvt);

    if ((entry & LVT_MASKED) || !(l->vcpu->apic_base & APIC_BASE_ENABLED))
        return;
    struct apic_message m = {.vector = entry, .mode = entry >> 8 & 7, .assert = true};
    lapic_accept(l, &m);
}

void lapic_refresh(struct lapic *l)
{
    l->irr_used = true;
    l->vcpu->cr8 = *lapic_reg(l, LAPIC_TPR) >> 4 & 15;
    lapic_ppr(l);
}

// SDM 3A, 11.4.7.1 and 11.4.7.3. The boot processor's LINT0 passes the 8259 pair through, as PC
// firmware sets it up.
void lapic_reset(struct lapic *l, bool power_on)
{
    struct vcpu *v = l->vcpu;
    u32 id = *lapic_reg(l, LAPIC_ID), ldr = *lapic_reg(l, LAPIC_LDR);

    lapic_timer_stop(l);
    memset(l->reg, 0, sizeof(l->reg));
    if (power_on)
        v->apic_base = 0xfee00000 | APIC_BASE_ENABLED | (vcpu_boots(v) ? APIC_BASE_BSP : 0);
    *lapic_reg(l, LAPIC_ID) = power_on ? v->id << 24 : id;
    *lapic_reg(l, LAPIC_LDR) = lapic_x2(l) ? ldr : 0;
    *lapic_reg(l, LAPIC_VERSION) = 0x14 | 5 << 16; // six LVT entries
    *lapic_reg(l, LAPIC_DFR) = 0xffffffff;
    *lapic_reg(l, LAPIC_SPIV) = 0xff;
    for (enum lapic_reg lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 16)
        *lapic_reg(l, lvt) = LVT_MASKED;
    if (vcpu_boots(v))
        *lapic_reg(l, LAPIC_LVT_LINT0) = APIC_MODE_EXTINT << 8;
    l->errors = 0;
    l->tsc_deadline = 0;
    lapic_refresh(l);
}

int lapic_create(struct vcpu *v)
{
    if (!v->vm->irqchip)
        return 0;
    v->lapic = kzalloc_charged(sizeof(*v->lapic));
    if (!v->lapic)
        return -ENOMEM;
    v->lapic->vcpu = v;
    lapic_reset(v->lapic, true);
    return 0;
}

void lapic_destroy(struct vcpu *v)
{
    if (v->lapic)
        lapic_timer_stop(v->lapic);
    kfree(v->lapic);
    v->lapic = NULL;
}

void vcpu_set_cr8(struct vcpu *v, u8 cr8)
{
    v->cr8 = cr8;
    if (v->lapic)
        *lapic_reg(v->lapic, LAPIC_TPR) = cr8 << 4;
}
