#pragma once
#include "user/vmm/machine.h"

/*
 * The PCI bus in a saved state: each slot with its device, then the bridge. Plain data.
 *
 * A disk's content stays in its file: the state has the file's name and the content's checksum, so
 * that a machine does not go on with a disk that has changed behind its back.
 */

enum { DISK_NAME = 256 };

struct saved_slot {
    uint32_t id; /* VIRTIO_ID_...; 0: nothing is in the slot */
    uint32_t disk_crc;
    char disk[DISK_NAME]; /* as behind --disk */
    struct virtio_state state;
};

struct saved_bridge {
    uint32_t address, reserved;
    struct pci_function bridge;
};

/* NULL, or what is wrong. slot is 0 and up. */
const char *bus_save_slot(const struct bus *bus, unsigned slot, struct saved_slot *to);
struct saved_bridge bus_save_bridge(const struct bus *bus);
/* Plugs in what the slot had. NULL, or the field that does not fit. A disk that cannot be opened
 * ends the program with a message. */
const char *bus_load_slot(struct machine *m, unsigned slot, const struct saved_slot *from);
const char *bus_load_bridge(struct bus *bus, const struct saved_bridge *from);
