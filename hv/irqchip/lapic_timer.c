// The local APIC's timer: SDM 3A, 11.5.4. Its clock is 1 GHz, and a host timer stands for it.

#include "hv/irqchip/lapic.h"

#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"

#define MIN_PERIOD_NS (200 * NSEC_PER_USEC) // a guest cannot keep the host busy with ticks
#define FAR_FUTURE_MS (1000UL * 3600 * 24 * 365)

static bool deadline_mode(struct lapic *l)
{
    return (*lapic_reg(l, LAPIC_LVT_TIMER) & LVT_TIMER_MODE) == LVT_TSC_DEADLINE;
}

// Divide configuration: bits 3, 1 and 0 say 2, 4, ... 128, 1.
static u64 divisor(struct lapic *l)
{
    u32 d = *lapic_reg(l, LAPIC_DIVIDE);

    return 1UL << (((d & 3) | (d & 8) >> 1) + 1) % 8;
}

static void expired(struct ktimer *t)
{
    struct lapic *l = container_of(t, struct lapic, timer);

    if (l->period_ns)
        ktimer_set(t, t->deadline_ns + l->period_ns, expired);
    l->tsc_deadline = 0;
    lapic_local(l, LAPIC_LVT_TIMER);
}

void lapic_timer_stop(struct lapic *l)
{
    ktimer_cancel(&l->timer);
    l->period_ns = 0;
    l->tsc_deadline = 0;
}

void lapic_timer_resume(struct lapic *l, u32 count)
{
    u64 first = count * divisor(l);

    lapic_timer_stop(l);
    if (!count || deadline_mode(l))
        return;
    if ((*lapic_reg(l, LAPIC_LVT_TIMER) & LVT_TIMER_MODE) == LVT_PERIODIC) {
        l->period_ns = max(*lapic_reg(l, LAPIC_INITIAL_COUNT) * divisor(l), MIN_PERIOD_NS);
        first = min(first, l->period_ns);
    }
    ktimer_set(&l->timer, clock_ns() + first, expired);
}

u32 lapic_timer_count(struct lapic *l)
{
    u64 now = clock_ns(), deadline = l->timer.deadline_ns;

    if (!l->timer.armed || deadline_mode(l))
        return 0;
    if (deadline < now)
        return 0;
    return (deadline - now) / divisor(l);
}

// Another mode stops the timer; another divisor holds from the present count on.
void lapic_timer_write(struct lapic *l, enum lapic_reg offset, u32 value)
{
    u32 old = *lapic_reg(l, offset), count = lapic_timer_count(l);

    if (offset == LAPIC_INITIAL_COUNT && deadline_mode(l))
        return;
    *lapic_reg(l, offset) = offset == LAPIC_DIVIDE ? value & 0xb : value;
    if (offset == LAPIC_INITIAL_COUNT) {
        lapic_timer_resume(l, value);
    } else if (offset == LAPIC_DIVIDE) {
        if (!deadline_mode(l) && l->timer.armed)
            lapic_timer_resume(l, count);
    } else if ((old ^ value) & LVT_TIMER_MODE) {
        if (((old | value) & LVT_TIMER_MODE) & LVT_TSC_DEADLINE) {
            lapic_timer_stop(l);
            *lapic_reg(l, LAPIC_INITIAL_COUNT) = 0;
        } else if (l->timer.armed) {
            lapic_timer_resume(l, count);
        }
    }
}

u64 lapic_deadline(struct lapic *l)
{
    return deadline_mode(l) ? l->tsc_deadline : 0;
}

void lapic_set_deadline(struct lapic *l, u64 tsc)
{
    u64 now = rdtsc() + l->vcpu->tsc_offset, khz = clock_tsc_khz();

    if (!deadline_mode(l))
        return;
    lapic_timer_stop(l);
    l->tsc_deadline = tsc;
    if (!tsc)
        return;
    u64 ticks = tsc > now ? tsc - now : 0, ms = min(ticks / khz, FAR_FUTURE_MS);
    ktimer_set(&l->timer, clock_ns() + ms * NSEC_PER_MSEC + ticks % khz * NSEC_PER_MSEC / khz,
               expired);
}
