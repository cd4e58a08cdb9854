/* The PCI bus: configuration mechanism 1, and who answers at which address. */
#include "user/vmm/bus.h"

#include <linux/pci_regs.h>
#include <string.h>

#include "user/vmm/say.h"

enum { BRIDGE_VENDOR = 0x8086, BRIDGE_DEVICE = 0x1237, BRIDGE_CLASS = 0x060000 };

#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS 0x80fffffcu

static const uint8_t irqs[BUS_DEVICES] = {5, 10, 11, 12, 14, 15};

uint8_t bus_irq(unsigned slot)
{
    return irqs[slot - 1];
}

struct virtio *bus_add(struct bus *bus, const struct virtio_type *type, struct guest_memory guest)
{
    if (bus->count == BUS_DEVICES)
        die(STATUS_USAGE, "virtio %s: more than %d devices", type->name, BUS_DEVICES);
    if (!bus->count)
        pci_init(&bus->bridge,
                 (struct pci_identity){BRIDGE_VENDOR, BRIDGE_DEVICE, 0, BRIDGE_CLASS});
    struct virtio *d = &bus->device[bus->count];
    virtio_init(d, type, guest, BUS_MEMORY + bus->count * VIRTIO_BAR_SIZE, irqs[bus->count],
                bus->vm_fd);
    bus->count++;
    return d;
}

/* The configuration address: bus, slot and function (none but 0 are there), and the register. */
static void config_access(struct bus *bus, unsigned low, bool out, uint8_t *data, unsigned size)
{
    unsigned slot = bus->address >> 11 & 31, at = (bus->address & 0xfc) + low;
    bool here = bus->address & ADDRESS_ENABLE && !(bus->address & 0x00ff0700);

    if (!here || slot > bus->count)
        memset(data, 0xff, size);
    else if (!slot)
        pci_access(&bus->bridge, at, out, data, size);
    else
        virtio_config_access(&bus->device[slot - 1], at, out, data, size);
}

bool bus_port(struct bus *bus, uint16_t port, bool out, uint8_t *data, unsigned size)
{
    bool is_address = port == PCI_ADDRESS_PORT && size == 4;

    if (!is_address && (port < PCI_DATA_PORT || port + size > PCI_DATA_PORT + 4))
        return false;
    if (!bus->count) {
        memset(data, 0xff, out ? 0 : size);
        return true;
    }
    if (!is_address)
        config_access(bus, port - PCI_DATA_PORT, out, data, size);
    else if (out)
        memcpy(&bus->address, data, size);
    else
        memcpy(data, &bus->address, size);
    bus->address &= ADDRESS_BITS;
    return true;
}

bool bus_mmio(struct bus *bus, uint64_t address, bool write, uint8_t *data, unsigned size)
{
    for (unsigned i = 0; i < bus->count; i++)
        if (virtio_mmio(&bus->device[i], address, write, data, size))
            return true;
    return false;
}
