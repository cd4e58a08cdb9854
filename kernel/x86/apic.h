// The local APIC: interprocessor interrupts, end of interrupt, a timer. SDM 3A, chapter 11. xAPIC
// by MMIO, x2APIC by MSR when the firmware has turned it on.
#pragma once
#include "kernel/lib/types.h"

// True after apic_init() where there is a local APIC and a MADT with an I/O APIC; else the 8259 and
// 8254 serve.
bool apic_present(void);
// True if the CPU has a local APIC. Without one there is no MADT to look for: as a guest of
// user/vmm each look at the BIOS area is a world switch.
bool cpu_has_apic(void);
// Finds the APIC (boot CPU, after acpi_init()).
void apic_init(void);
// Turns this CPU's APIC on, timer masked.
void apic_init_cpu(void);
u32 apic_id(void);
// End of interrupt; nothing where there is no APIC.
void apic_eoi(void);
// Sends what `command` (low half of the ICR) says to one APIC.
void apic_send(u32 apic, u32 command);
#define APIC_INIT 0x4500    // INIT, assert
#define APIC_STARTUP 0x4600 // SIPI; add the page number
#define APIC_NMI 0x4400
#define APIC_FIXED 0x4000 // add the vector

// One-shot timer: an interrupt at VEC_TIMER after `count` ticks; 0 stops it.
void apic_timer_start(u32 count);
// Ticks left.
u32 apic_timer_count(void);
