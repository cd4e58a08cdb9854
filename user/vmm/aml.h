#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code of the DSDT, ACPI's machine language (ACPI 6.4, chapter 20). */
struct aml {
    uint8_t data[512];
    size_t size;
};

/* The sleep state S5, and the PCI bus with its windows and its interrupt lines if there is one. */
void aml_machine(struct aml *a, bool pci);
