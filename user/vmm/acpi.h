#pragma once
#include "user/vmm/image.h"

/*
 * The ACPI tables of the guest's machine (ACPI 6.4, chapter 5), in the BIOS area below 1 MiB: its
 * processors and interrupt chips, its PCI bus, how to switch it off and to reset it.
 */

/* The BIOS area: what a memory map must call reserved. */
#define BIOS_AREA 0xe0000u

/* Where the tables' root is: guests search the area for it, Linux is told. */
#define ACPI_RSDP 0xf0000u

enum {
    ACPI_PM1A_EVENT = 0x600,
    ACPI_PM1A_ENABLE = 0x602,
    ACPI_PM1A_CONTROL = 0x604,
    ACPI_RESET = 0xcf9
};
enum { ACPI_RESET_VALUE = 6, ACPI_SCI_ENABLED = 1, ACPI_SLEEP_ENABLE = 0x2000 };

/* pci: there is a PCI bus. */
void acpi_put_tables(struct guest_memory guest, unsigned cpus, bool pci);
