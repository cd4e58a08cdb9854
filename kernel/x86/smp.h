// More than one CPU: starting them, talking to them, stopping them.
#pragma once
#include "kernel/lib/types.h"

// Starts the CPUs that ACPI's MADT lists; each calls entry() on a stack of its own, with interrupts
// off and without the kernel lock. Returns when all that answer are online. Called once, on the
// boot CPU.
void smp_start(void (*entry)(void));

// What a CPU must do while it waits with interrupts off: answers a TLB shoot-down, stops if the
// machine stops.
void smp_poll(void);

// Stops all other CPUs for ever; they answer at their next poll, interrupt or NMI. For panic and
// power off.
void smp_stop_others(void);
