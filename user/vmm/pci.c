/* PCI configuration space. */
#include "user/vmm/pci.h"

#include <linux/pci_regs.h>
#include <string.h>

enum { FIRST_CAPABILITY = 0x40 };

void pci_set(struct pci_function *f, unsigned at, unsigned size, uint32_t value, uint32_t writable)
{
    memcpy(f->config + at, &value, size);
    memcpy(f->writable + at, &writable, size);
}

uint32_t pci_get(const struct pci_function *f, unsigned at, unsigned size)
{
    uint32_t value = 0;

    memcpy(&value, f->config + at, size);
    return value;
}

void pci_init(struct pci_function *f, struct pci_identity identity)
{
    const uint32_t commands = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;

    memset(f, 0, sizeof(*f));
    pci_set(f, PCI_VENDOR_ID, 2, identity.vendor, 0);
    pci_set(f, PCI_DEVICE_ID, 2, identity.device, 0);
    pci_set(f, PCI_COMMAND, 2, 0, commands);
    pci_set(f, PCI_CLASS_REVISION, 4, identity.class << 8 | 1, 0);
    pci_set(f, PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
    pci_set(f, PCI_LATENCY_TIMER, 1, 0, 0xff);
    pci_set(f, PCI_SUBSYSTEM_VENDOR_ID, 2, identity.vendor, 0);
    pci_set(f, PCI_SUBSYSTEM_ID, 2, identity.subsystem, 0);
    pci_set(f, PCI_INTERRUPT_LINE, 1, 0, 0xff);
}

unsigned pci_add_capability(struct pci_function *f, const void *data, unsigned size)
{
    unsigned link = PCI_CAPABILITY_LIST, at = FIRST_CAPABILITY;

    while (f->config[link]) {
        link = f->config[link] + 1u;
        at = (link - 1u + f->config[link + 1] + 3) & ~3u;
    }
    memcpy(f->config + at, data, size);
    f->config[at + 1] = 0;
    f->config[link] = (uint8_t)at;
    f->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    return at;
}

const char *pci_differs(const struct pci_function *f, const struct pci_function *other)
{
    if (memcmp(f->writable, other->writable, sizeof(f->writable)))
        return "pci.writable";
    for (unsigned i = 0; i < sizeof(f->config); i++)
        if ((f->config[i] ^ other->config[i]) & ~f->writable[i])
            return "pci.config";
    return NULL;
}

void pci_access(struct pci_function *f, unsigned at, bool out, uint8_t *data, unsigned size)
{
    if (!out) {
        memcpy(data, f->config + at, size);
        return;
    }
    for (unsigned i = at; i < at + size; i++, data++)
        f->config[i] = (uint8_t)((f->config[i] & ~f->writable[i]) | (*data & f->writable[i]));
}
