#pragma once
#include <stddef.h>
#include <linux/virtio_ids.h>

#include "user/vmm/pci.h"
#include "user/vmm/virtqueue.h"

/*
 * A virtio 1.2 device over PCI, without the interfaces of before 1.0. One base address register,
 * BAR 0, has all of the structures that the vendor capabilities name, a page each.
 *
 * Everything that a driver says is checked. A driver that breaks the rules gets DEVICE_NEEDS_RESET,
 * and the device does nothing until it is reset. Callers serialise.
 */

enum { VIRTIO_QUEUES = 3, VIRTIO_CONFIG = 64, VIRTIO_BAR_SIZE = 0x8000 };

/* MSI-X vectors: one for the configuration and one for each queue. PCI Local Bus 3.0, 6.8.2. */
enum { VIRTIO_VECTORS = 1 + VIRTIO_QUEUES };
struct msix_vector {
    uint32_t address, address_high, data, control;
};

/* Plain data: all that a saved machine must keep of a device. */
struct virtio_state {
    struct pci_function pci;
    uint64_t driver_features;
    uint32_t device_feature_select, driver_feature_select;
    uint16_t queue_select, config_vector;
    uint8_t status, isr, generation;
    uint8_t config[VIRTIO_CONFIG]; /* the device's own structure */
    struct virtqueue queue[VIRTIO_QUEUES];
    struct msix_vector vector[VIRTIO_VECTORS];
    uint64_t pending; /* a bit for each vector that was masked when its time came */
};

struct virtio;

/* What makes a kind of device. */
struct virtio_type {
    const char *name;
    uint16_t id; /* VIRTIO_ID_... */
    uint32_t class;
    uint64_t features; /* besides those of every device */
    unsigned queues;
    unsigned waiting;      /* a bit for each queue whose chains wait for the host */
    unsigned config_size;  /* of state.config */
    unsigned config_write; /* the first byte there that the driver may write */
    /* Serves one chain of queue q, and says in *written how many bytes it wrote into it. NULL, or
     * what is wrong with the chain. */
    const char *(*serve)(struct virtio *d, unsigned q, const struct chain *c, uint32_t *written);
};

extern const struct virtio_type virtio_block, virtio_console, virtio_rng, virtio_balloon;

struct virtio {
    const struct virtio_type *type;
    struct guest_memory guest;
    const char *file; /* block: what is the disk */
    int fd;
    uint64_t features; /* what a driver may choose from */
    bool complained;
    unsigned window; /* where the capability is through which configuration space reaches BAR 0 */
    unsigned msix;   /* where the MSI-X capability is; 0: there is none */
    int vm_fd;       /* takes MSIs; -1: nobody does */
    uint8_t irq;
    struct virtio_state state;
};

/* A device after power on. Its own members, fd and config, are the caller's to set. */
void virtio_init(struct virtio *d, const struct virtio_type *type, struct guest_memory guest,
                 uint32_t bar, uint8_t irq, int vm_fd);
/* The guest's access to the configuration space. */
void virtio_config_access(struct virtio *d, unsigned at, bool out, uint8_t *data, unsigned size);
/* An access to guest-physical memory: false when it is not this device's. */
bool virtio_mmio(struct virtio *d, uint64_t address, bool write, uint8_t *data, unsigned size);
/* The level of the interrupt line. */
bool virtio_line(const struct virtio *d);
/* Goes on with queues of which too much was left for one time. True: there is still more. */
bool virtio_go_on(struct virtio *d);

/* For a waiting queue: takes a chain if there is one. Each chain taken is given back. */
bool virtio_take(struct virtio *d, unsigned q, struct chain *c);
void virtio_give(struct virtio *d, unsigned q, const struct chain *c, uint32_t written);

/* The device's state in a snapshot. Loading checks it: NULL, or the name of the field that this
 * device cannot have. */
void virtio_save(const struct virtio *d, struct virtio_state *to);
const char *virtio_load(struct virtio *d, const struct virtio_state *from);

/* The disk's file. Ends the program with a message if it cannot be one. */
void virtio_block_open(struct virtio *d, char *text);
/* Hands what was typed to the console's driver. */
void virtio_console_feed(struct virtio *d);
/* Asks the guest to give up that many MiB. */
void virtio_balloon_target(struct virtio *d, uint32_t mib);
