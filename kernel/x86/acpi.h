// What ACPI's tables say of CPUs and interrupts: the MADT. ACPI specification 6.5, 5.2.5
// and 5.2.12.
#pragma once
#include "kernel/x86/percpu.h"

#define ISA_IRQS 16

struct madt {
    u32 cpu_count; // 0: no MADT found
    u32 apic_id[MAX_CPUS];
    paddr_t lapic;
    bool has_ioapic;
    paddr_t ioapic; // the one that serves the ISA lines
    u32 gsi_base;
    struct {
        u32 gsi;
        bool level, low; // trigger and polarity
    } isa[ISA_IRQS];
};

// Filled by acpi_init().
extern struct madt madt;

// Looks for the tables in the BIOS area (boot CPU, after paging_init()). Tables with a wrong
// checksum or length are passed over.
void acpi_init(void);
