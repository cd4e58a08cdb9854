// Time: the TSC, calibrated at boot, and one deadline timer a CPU (LAPIC timer, or the 8254 where
// there is no LAPIC).
#pragma once
#include "kernel/lib/types.h"

#define NSEC_PER_SEC 1000000000UL
#define NSEC_PER_MSEC 1000000UL
#define NSEC_PER_USEC 1000UL

// Measures the TSC (and the LAPIC timer) against the 8254, reads the CMOS clock. Boot CPU, after
// irq_init(), once.
void clock_init(void);
// Nanoseconds since boot (CLOCK_MONOTONIC); 0 before clock_init(). Any context; the same on every
// CPU.
u64 clock_ns(void);
// The same for another moment, given by the TSC then; and nanoseconds in a tick of it, times 2^32.
u64 clock_ns_at(u64 tsc);
u64 clock_ns_per_tick(void);
// CLOCK_REALTIME minus CLOCK_MONOTONIC, in ns, read from the CMOS clock at boot; settable.
u64 clock_realtime_offset(void);
void clock_set_realtime_offset(u64 ns);
// TSC frequency in kHz.
u64 clock_tsc_khz(void);
// Makes timer_tick() run on this CPU at `ns` (clock_ns time) or as soon after as possible; one
// deadline a CPU, the newest counts.
void clock_set_deadline(u64 ns);
// Ends the machine when clock_ns() passes `ns` (viv.limit); 0: never. Boot CPU.
void clock_set_limit(u64 ns);
// Busy-waits; for device set-up only.
void clock_delay_us(u64 us);
// The timer's interrupt (irq.c). Kernel lock held.
void clock_interrupt(void);
