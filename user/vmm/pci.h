#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * A function's configuration space on the PCI bus: 256 bytes and which bits of them the guest may
 * write, so a base address register tells its size by the bits that stay. PCI Local Bus 3.0,
 * chapter 6. The names PCI_... are those of <linux/pci_regs.h>.
 */

struct pci_function {
    uint8_t config[256], writable[256];
};

/* Where an access to the configuration ports goes (mechanism 1): 3.2.2.3.2. */
enum { PCI_ADDRESS_PORT = 0xcf8, PCI_DATA_PORT = 0xcfc };

struct pci_identity {
    uint16_t vendor, device, subsystem;
    uint32_t class; /* the three bytes above the revision */
};

void pci_init(struct pci_function *f, struct pci_identity identity);
/* A field of 1, 2 or 4 bytes, little endian. */
void pci_set(struct pci_function *f, unsigned at, unsigned size, uint32_t value, uint32_t writable);
uint32_t pci_get(const struct pci_function *f, unsigned at, unsigned size);
/* Appends a capability of size bytes; returns where it is. data's second byte is filled in. */
unsigned pci_add_capability(struct pci_function *f, const void *data, unsigned size);
/* NULL, or the field in which a function could not have become the other by the guest's accesses.
 */
const char *pci_differs(const struct pci_function *f, const struct pci_function *other);
/* The guest's access to size bytes, which lie within the space. */
void pci_access(struct pci_function *f, unsigned at, bool out, uint8_t *data, unsigned size);
