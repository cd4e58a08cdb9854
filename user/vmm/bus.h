#pragma once
#include "user/vmm/virtio.h"

/*
 * The machine's PCI bus 0: a host bridge, which is there when any device is, and virtio devices in
 * the slots behind it. Each device has an interrupt line of its own, so edges are not lost between
 * them. The guest finds the devices set up, as a BIOS would leave them.
 */

enum { BUS_DEVICES = 6 };

/* Where the devices' memory is: the ACPI tables say so as well. */
#define BUS_MEMORY 0xe0000000u
#define BUS_MEMORY_END 0xe0100000u

struct bus {
    int vm_fd;        /* takes MSIs; -1: there are none */
    uint32_t address; /* the configuration address register */
    struct pci_function bridge;
    struct virtio device[BUS_DEVICES];
    unsigned count;
    struct virtio *console; /* NULL: the console is the serial port */
};

/* Ends the program with a message when the slots are used up. */
struct virtio *bus_add(struct bus *bus, const struct virtio_type *type, struct guest_memory guest);
/* False: not the bus's. Without a device its ports are there and read as ones. */
bool bus_port(struct bus *bus, uint16_t port, bool out, uint8_t *data, unsigned size);
bool bus_mmio(struct bus *bus, uint64_t address, bool write, uint8_t *data, unsigned size);
/* The interrupt line of the device in slot 1 and up. */
uint8_t bus_irq(unsigned slot);
