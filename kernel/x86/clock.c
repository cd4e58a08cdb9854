// Clocks. Time is the TSC, scaled; the deadline timer of a CPU is its LAPIC timer, or the 8254.
//
// The hardware timer is only moved forward: a deadline later than what is armed waits for the early
// interrupt, which arms the rest. Most deadlines are pushed back before they are reached, and as a
// guest each write to a timer is a world switch.
#include "kernel/x86/clock.h"

#include "kernel/x86/apic.h"
#include "kernel/x86/cmos.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/log.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/pit.h"
#include "kernel/x86/power.h"
#include "kernel/x86/trap.h"

#define PIT_IRQ 0
// Of the 8254: 20 ms, for a sample is some 500 ns wide under an emulator, and a VM may only move
// between hosts that agree on the TSC's pace to 250 millionths.
#define CALIBRATION_TICKS (PIT_HZ / 50)
#define SAMPLES 4
#define TRIES 10
#define HYPERVISOR_LEAF 0x40000000
#define HYPERVISOR_TSC_LEAF 0x40000010 // EAX: TSC kHz, as several hypervisors have it
#define CPUID1_ECX_HYPERVISOR BIT(31)

static u64 tsc_base, tsc_khz, ns_per_tick; // ns_per_tick: times 2^32
static bool apic_timer;                    // the LAPIC timer is the timer, else the 8254
static u64 timer_ticks_per_ns;             // times 2^32
static u64 timer_longest;                  // ns that the timer can count
static u64 realtime_offset, limit_ns;

u64 clock_ns_at(u64 tsc)
{
    return (unsigned __int128)(tsc - tsc_base) * ns_per_tick >> 32;
}

u64 clock_ns(void)
{
    return clock_ns_at(rdtsc());
}

u64 clock_ns_per_tick(void)
{
    return ns_per_tick;
}

u64 clock_tsc_khz(void)
{
    return tsc_khz;
}

u64 clock_realtime_offset(void)
{
    return realtime_offset;
}

void clock_set_realtime_offset(u64 ns)
{
    realtime_offset = ns;
}

void clock_delay_us(u64 us)
{
    u64 start = rdtsc(), ticks = us * tsc_khz / 1000;

    while (rdtsc() - start < ticks)
        cpu_relax();
}

// The counters, read as close together as can be.
struct sample {
    u64 tsc;
    u32 timer;
    u16 pit;
};

// Right after the 8254 has counted, so that the two samples lie a whole number of its ticks apart.
// A host may take the CPU away between two reads: the quickest of a few tries counts.
static struct sample take_sample(void)
{
    struct sample best = {0};
    u64 best_width = UINT64_MAX;

    for (int i = 0; i < SAMPLES; i++) {
        u16 last = pit_read_count();
        struct sample s;
        u64 width;
        do {
            s.tsc = rdtsc();
            s.timer = apic_timer ? apic_timer_count() : 0;
            s.pit = pit_read_count();
            width = rdtsc() - s.tsc;
        } while (s.pit == last);
        if (width < best_width) {
            best_width = width;
            best = s;
        }
    }
    return best;
}

static u64 hypervisor_tsc_khz(void)
{
    if (!(cpuid(1, 0).ecx & CPUID1_ECX_HYPERVISOR) ||
        cpuid(HYPERVISOR_LEAF, 0).eax < HYPERVISOR_TSC_LEAF)
        return 0;
    return cpuid(HYPERVISOR_TSC_LEAF, 0).eax;
}

static void set_timer(u64 hz, u64 longest_count)
{
    timer_ticks_per_ns = (hz << 32) / NSEC_PER_SEC;
    timer_longest = longest_count * 1000 / (hz / 1000000 + 1);
}

// Two samples CALIBRATION_TICKS apart or more; false if the 8254 has counted to its end in between,
// because a host took the CPU away for long.
static bool take_samples(struct sample *start, struct sample *end)
{
    pit_start_count();
    *start = take_sample();
    while ((u16)(start->pit - pit_read_count()) < CALIBRATION_TICKS)
        cpu_relax();
    *end = take_sample();
    return !pit_count_ended();
}

static void calibrate(void)
{
    struct sample start, end;

    if (apic_timer)
        apic_timer_start(UINT32_MAX);
    for (int i = 0; !take_samples(&start, &end) && i < TRIES; i++)
        kprintf("clock: the measurement was interrupted, again\n");
    u64 pit_ticks = (u16)(start.pit - end.pit);
    tsc_khz = (end.tsc - start.tsc) * PIT_HZ / pit_ticks / 1000;
    if (apic_timer) {
        set_timer((u64)(start.timer - end.timer) * PIT_HZ / pit_ticks, UINT32_MAX);
        apic_timer_start(0);
    }
}

static void pit_interrupt(void *unused)
{
    clock_interrupt();
}

void clock_init(void)
{
    tsc_base = rdtsc();
    apic_timer = apic_present();
    tsc_khz = apic_timer ? 0 : hypervisor_tsc_khz();
    if (!tsc_khz)
        calibrate();
    if (!tsc_khz)
        panic("clock: the TSC does not count\n");
    ns_per_tick = (1000000UL << 32) / tsc_khz;
    realtime_offset = cmos_read_time() * NSEC_PER_SEC - clock_ns();
    if (!apic_timer) {
        set_timer(PIT_HZ, UINT16_MAX);
        irq_register(PIT_IRQ, pit_interrupt, NULL);
    }
    kprintf("clock: TSC %lu.%03lu MHz, timer: %s\n", tsc_khz / 1000, tsc_khz % 1000,
            apic_timer ? "local APIC" : "8254");
}

// Arms the hardware for this CPU's deadline, or as near before it as the hardware can count.
static void arm(struct percpu *cpu, u64 now)
{
    u64 wait = cpu->deadline_ns > now ? min(cpu->deadline_ns - now, timer_longest) : 0;
    u64 ticks = ((unsigned __int128)wait * timer_ticks_per_ns >> 32) + 1;

    cpu->timer_armed_ns = now + wait;
    if (apic_timer)
        apic_timer_start((u32)ticks);
    else
        pit_one_shot((u16)ticks);
}

void clock_set_deadline(u64 ns)
{
    struct percpu *cpu = this_cpu();

    if (limit_ns && cpu->id == 0)
        ns = min(ns, limit_ns);
    cpu->deadline_ns = ns;
    if (!cpu->timer_armed_ns || cpu->timer_armed_ns > ns)
        arm(cpu, clock_ns());
}

void clock_set_limit(u64 ns)
{
    limit_ns = ns;
    if (ns)
        clock_set_deadline(ns);
}

void clock_interrupt(void)
{
    struct percpu *cpu = this_cpu();
    u64 now = clock_ns();

    cpu->timer_armed_ns = 0;
    if (limit_ns && now >= limit_ns) {
        kprintf("limit of %lu guest seconds reached\n", limit_ns / NSEC_PER_SEC);
        power_off(0);
    }
    if (cpu->deadline_ns && now >= cpu->deadline_ns) {
        cpu->deadline_ns = cpu->id == 0 ? limit_ns : 0;
        timer_tick();
    }
    if (cpu->deadline_ns && !cpu->timer_armed_ns)
        arm(cpu, clock_ns());
}
