/* Saving the PCI bus, and plugging its devices in anew. */
#include "user/vmm/bus_state.h"

#include <linux/virtio_blk.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "user/vmm/stream.h"

static const struct virtio_type *const types[] = {&virtio_block, &virtio_console, &virtio_rng,
                                                  &virtio_balloon};

/* The whole disk's checksum. False: it cannot be read. */
static bool disk_crc(const struct virtio *d, uint32_t *crc)
{
    static uint8_t part[64 * 1024];
    off_t at = 0;
    ssize_t n;

    for (*crc = 0; (n = pread(d->fd, part, sizeof(part), at)) > 0; at += n)
        *crc = stream_crc(*crc, part, (size_t)n);
    return n == 0;
}

const char *bus_save_slot(const struct bus *bus, unsigned slot, struct saved_slot *to)
{
    const struct virtio *d = &bus->device[slot];

    memset(to, 0, sizeof(*to));
    if (slot >= bus->count)
        return NULL;
    to->id = d->type->id;
    virtio_save(d, &to->state);
    if (!d->file)
        return NULL;
    if (!disk_crc(d, &to->disk_crc))
        return "the disk cannot be read";
    int n = snprintf(to->disk, sizeof(to->disk), "%s%s", d->file,
                     d->features & 1 << VIRTIO_BLK_F_RO ? ",ro" : "");
    return n >= 0 && (size_t)n < sizeof(to->disk) ? NULL : "the disk's name is too long";
}

struct saved_bridge bus_save_bridge(const struct bus *bus)
{
    return (struct saved_bridge){.address = bus->address, .bridge = bus->bridge};
}

static const char *load_disk(struct virtio *d, const struct saved_slot *from)
{
    char *name = strndup(from->disk, DISK_NAME - 1);
    uint32_t crc;

    if (!name || !*name)
        return "disk";
    virtio_block_open(d, name);
    return disk_crc(d, &crc) && crc == from->disk_crc ? NULL : "disk_crc: the disk has changed";
}

const char *bus_load_slot(struct machine *m, unsigned slot, const struct saved_slot *from)
{
    const struct virtio_type *type = NULL;

    if (!from->id)
        return NULL;
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        type = types[i]->id == from->id ? types[i] : type;
    if (!type || slot != m->bus.count || (m->bus.console && type == &virtio_console))
        return "id";
    struct virtio *d = bus_add(&m->bus, type, machine_memory(m));
    if (type == &virtio_console)
        m->bus.console = d;
    const char *wrong = type == &virtio_block ? load_disk(d, from) : NULL;
    return wrong ? wrong : virtio_load(d, &from->state);
}

const char *bus_load_bridge(struct bus *bus, const struct saved_bridge *from)
{
    const char *wrong = pci_differs(&from->bridge, &bus->bridge);

    if (!wrong) {
        bus->bridge = from->bridge;
        bus->address = from->address;
    }
    return wrong;
}
