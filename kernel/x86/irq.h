// Device interrupts: the sixteen ISA lines, through the I/O APIC where there is one, else through
// the 8259 pair.
#pragma once
#include "kernel/lib/types.h"

// Masks all lines of the 8259 pair, so that none is on its way to the CPU when the APIC takes over
// from it: a request that the firmware left would arrive without a vector. Boot CPU, before
// apic_init().
void irq_quiet(void);
// Finds the I/O APIC, all lines masked. Boot CPU, after apic_init().
void irq_init(void);
// Serves vectors from VEC_IRQ_BASE on (trap.c). Kernel lock held.
void irq_dispatch(u64 vector);
// Interrupts served so far on line `irq`, for /proc/interrupts and /proc/stat.
u64 irq_count(unsigned irq);
