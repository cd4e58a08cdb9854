// The local APIC's registers as the guest sees them: the page (SDM 3A, 11.4.1), the MSRs of x2APIC
// mode (11.12) and IA32_APIC_BASE (11.4.4).

#include "hv/irqchip/lapic.h"

#include "kernel/x86/cpu.h"

#define MSR_X2APIC 0x800
#define MSR_X2APIC_END 0x8ff
#define MSR_TSC_DEADLINE 0x6e0
#define ECX1_X2APIC BIT(21)
#define LVT_VALUE 0x100ff // vector and mask
#define LVT_MODE (LVT_VALUE | 0x700)
#define LVT_LINT (LVT_MODE | 0xa000) // polarity, trigger mode
#define ICR_PENDING BIT(12)
#define ICR_X2_RESERVED (BIT(13) | 3UL << 16 | 0xfffUL << 20) // SDM 3A, figure 11-28
#define ICR_ASSERT BIT(14)
#define ICR_LEVEL BIT(15)

// Registers by number (offset / 16) that can be read, beside the three sets of vectors.
static bool readable(const struct lapic *l, u32 offset)
{
    switch (offset) {
    case LAPIC_ID:
    case LAPIC_VERSION:
    case LAPIC_TPR:
    case LAPIC_PPR:
    case LAPIC_LDR:
    case LAPIC_SPIV:
    case LAPIC_ISR ... LAPIC_ESR:
    case LAPIC_ICR:
    case LAPIC_LVT_TIMER ... LAPIC_CURRENT_COUNT:
    case LAPIC_DIVIDE:
        return true;
    case LAPIC_APR:
    case LAPIC_DFR:
    case LAPIC_ICR2:
        return !lapic_x2(l);
    default:
        return false;
    }
}

// False: there is no such register.
static bool read_register(struct lapic *l, u32 offset, u32 *value)
{
    if (!readable(l, offset))
        return false;
    if (offset == LAPIC_PPR)
        lapic_ppr(l);
    *value = offset == LAPIC_CURRENT_COUNT ? lapic_timer_count(l) : *lapic_reg(l, offset);
    return true;
}

static void send(struct lapic *l, u32 low, u32 dest)
{
    struct apic_message m = {
        .dest = dest,
        .shorthand = low >> 18 & 3,
        .vector = low,
        .mode = low >> 8 & 7,
        .logical = low >> 11 & 1,
        .level = low & ICR_LEVEL,
        .assert = low & ICR_ASSERT,
        .lowest = (low >> 8 & 7) == APIC_MODE_LOWEST,
    };

    if (m.mode <= APIC_MODE_LOWEST) {
        m.level = false; // IPIs with a vector are edges
        if (m.vector < 16) {
            lapic_error(l, ESR_SEND_ILLEGAL);
            return;
        }
    }
    apic_bus_send(l->vcpu->vm, &m, l);
}

// A disabled APIC keeps its local interrupts masked (11.4.7.2).
static void write_spiv(struct lapic *l, u32 value)
{
    *lapic_reg(l, LAPIC_SPIV) = value & 0x3ff;
    for (u32 lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR && !(value & SPIV_ENABLED); lvt += 16)
        *lapic_reg(l, lvt) |= LVT_MASKED;
}

static void write_lvt(struct lapic *l, u32 offset, u32 value)
{
    static const u32 bits[] = {
        LVT_VALUE | LVT_TIMER_MODE, LVT_MODE, LVT_MODE, LVT_LINT, LVT_LINT, LVT_VALUE};

    value &= bits[(offset - LAPIC_LVT_TIMER) / 16];
    if (!(*lapic_reg(l, LAPIC_SPIV) & SPIV_ENABLED))
        value |= LVT_MASKED;
    if (offset == LAPIC_LVT_TIMER)
        lapic_timer_write(l, offset, value);
    else
        *lapic_reg(l, offset) = value;
}

// Writes a register of the page. False: there is none, or it cannot be written.
static bool write_register(struct lapic *l, u32 offset, u32 value)
{
    switch (offset) {
    case LAPIC_TPR:
        *lapic_reg(l, LAPIC_TPR) = value & 0xff;
        l->vcpu->cr8 = value >> 4 & 15;
        return true;
    case LAPIC_EOI:
        lapic_end(l);
        return true;
    case LAPIC_SPIV:
        write_spiv(l, value);
        return true;
    case LAPIC_ESR:
        *lapic_reg(l, LAPIC_ESR) = l->errors;
        l->errors = 0;
        return true;
    case LAPIC_LVT_TIMER ... LAPIC_LVT_ERROR:
        write_lvt(l, offset, value);
        return true;
    case LAPIC_INITIAL_COUNT:
    case LAPIC_DIVIDE:
        lapic_timer_write(l, offset, value);
        return true;
    default:
        return false;
    }
}

// What only the page has.
static bool write_page(struct lapic *l, u32 offset, u32 value)
{
    switch (offset) {
    case LAPIC_ID:
    case LAPIC_LDR:
        *lapic_reg(l, offset) = value & 0xff000000;
        return true;
    case LAPIC_DFR:
        *lapic_reg(l, LAPIC_DFR) = value | 0x0fffffff;
        return true;
    case LAPIC_ICR:
        *lapic_reg(l, LAPIC_ICR) = value & ~ICR_PENDING;
        send(l, value, *lapic_reg(l, LAPIC_ICR2) >> 24);
        return true;
    case LAPIC_ICR2:
        *lapic_reg(l, LAPIC_ICR2) = value & 0xff000000;
        return true;
    default:
        return write_register(l, offset, value);
    }
}

// Registers are read in parts of their 32 bits, and written whole. A page that is turned off reads
// as ones.
bool lapic_mmio(struct lapic *l, bool write, u64 gpa, u8 size, u64 *value)
{
    u64 base = l->vcpu->apic_base;
    u32 offset = gpa & ~PAGE_MASK, word = 0;

    if ((gpa ^ base) & PAGE_MASK & (HV_MAX_GPA - 1))
        return false;
    if (!(base & APIC_BASE_ENABLED) || lapic_x2(l)) {
        *value = ~0UL;
    } else if (!write) {
        if (!read_register(l, offset & ~15u, &word))
            lapic_error(l, ESR_ILLEGAL_REGISTER);
        *value = offset % 16 < 4 ? word >> offset % 4 * 8 : 0;
    } else if (size == 4 && offset % 16 == 0 && !write_page(l, offset, *value)) {
        lapic_error(l, ESR_ILLEGAL_REGISTER);
    }
    return true;
}

static int x2apic_get(struct lapic *l, u32 offset, u64 *value)
{
    u32 low;

    if (!lapic_x2(l) || !read_register(l, offset, &low))
        return 1;
    *value = offset == LAPIC_ICR ? low | (u64)*lapic_reg(l, LAPIC_ICR2) << 32 : low;
    return 0;
}

static int x2apic_set(struct lapic *l, u32 offset, u64 value)
{
    if (!lapic_x2(l) || (offset != LAPIC_ICR && value >> 32))
        return 1;
    switch (offset) {
    case LAPIC_ICR:
        if (value & ICR_X2_RESERVED)
            return 1;
        *lapic_reg(l, LAPIC_ICR) = value & ~ICR_PENDING;
        *lapic_reg(l, LAPIC_ICR2) = value >> 32;
        send(l, value, value >> 32);
        return 0;
    case LAPIC_SELF_IPI:
        if (value > 0xff)
            return 1;
        send(l, value | TO_SELF << 18 | ICR_ASSERT, 0);
        return 0;
    case LAPIC_EOI:
    case LAPIC_ESR:
        return value || !write_register(l, offset, 0);
    default:
        return !write_register(l, offset, value);
    }
}

int lapic_get_msr(struct vcpu *v, u32 msr, u64 *value)
{
    if (!v->lapic)
        return 1;
    if (msr == MSR_TSC_DEADLINE)
        *value = lapic_deadline(v->lapic);
    else if (msr >= MSR_X2APIC && msr <= MSR_X2APIC_END)
        return x2apic_get(v->lapic, (msr - MSR_X2APIC) * 16, value);
    else
        return 1;
    return 0;
}

int lapic_set_msr(struct vcpu *v, u32 msr, u64 value)
{
    if (!v->lapic)
        return 1;
    if (msr == MSR_TSC_DEADLINE)
        lapic_set_deadline(v->lapic, value);
    else if (msr >= MSR_X2APIC && msr <= MSR_X2APIC_END)
        return x2apic_set(v->lapic, (msr - MSR_X2APIC) * 16, value);
    else
        return 1;
    return 0;
}

static bool has_x2apic(const struct vcpu *v)
{
    const struct kvm_cpuid_entry2 *e = cpuid_find(v, 1, 0);

    return e && (e->ecx & ECX1_X2APIC);
}

// x2APIC mode is entered from xAPIC mode and left to "disabled" only (SDM 3A, figure 11-31).
int vcpu_set_apic_base(struct vcpu *v, u64 value, bool by_guest)
{
    u64 allowed = ((HV_MAX_GPA - 1) & PAGE_MASK) | APIC_BASE_BSP | APIC_BASE_ENABLED |
                  (has_x2apic(v) ? APIC_BASE_X2APIC : 0);
    u64 old = v->apic_base;
    bool x2 = value & APIC_BASE_X2APIC, was_x2 = old & APIC_BASE_X2APIC,
         on = value & APIC_BASE_ENABLED, was_on = old & APIC_BASE_ENABLED;

    if ((value & ~allowed) || (x2 && !on))
        return 1;
    if (by_guest && ((was_x2 && on && !x2) || (!was_on && x2)))
        return 1;
    v->apic_base = value;
    if (!v->lapic)
        return 0;
    if (x2 && !was_x2) {
        *lapic_reg(v->lapic, LAPIC_ID) = v->id;
        *lapic_reg(v->lapic, LAPIC_LDR) = (v->id >> 4) << 16 | 1u << (v->id & 15);
    } else if (was_x2 && !x2) {
        *lapic_reg(v->lapic, LAPIC_ID) = v->id << 24;
        *lapic_reg(v->lapic, LAPIC_LDR) = 0;
    }
    v->lapic->irr_used = true;
    return 0;
}
