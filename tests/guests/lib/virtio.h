#pragma once
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "tests/guests/lib/guest.h"

/*
 * A small virtio driver for guests: one request at a time, in queues of QUEUE entries.
 */

enum { QUEUE = 16, QUEUES = 2 };

struct queue {
    struct vring_desc desc[QUEUE] __attribute__((aligned(16)));
    struct vring_avail avail __attribute__((aligned(2)));
    uint16_t avail_rest[QUEUE + 1];
    struct vring_used used __attribute__((aligned(4)));
    struct vring_used_elem used_rest[QUEUE + 1];
    uint16_t seen; /* of the used ring */
};

struct device {
    unsigned slot;
    uint8_t irq;
    uint64_t features; /* offered */
    volatile struct virtio_pci_common_cfg *common;
    volatile uint8_t *notify, *isr, *config;
    struct queue *queue; /* QUEUES of them */
};

uint32_t pci_read(unsigned slot, unsigned at);
void pci_write(unsigned slot, unsigned at, uint32_t value);

/* Finds the nth device of that kind; false: there is none. */
bool device_find(struct device *d, unsigned id, unsigned nth);
/* Resets it, agrees on VERSION_1 and the features, and starts it. False: it refuses them. */
bool device_start(struct device *d, uint64_t features);

/* Puts buffers into the queue's descriptors from 0 on; the ones from writable on are the device's
 * to write. Then offers the chain, and tells the device. */
void queue_put(struct device *d, unsigned q, unsigned i, void *data, uint32_t size, uint16_t flags);
void queue_offer(struct device *d, unsigned q, uint16_t head);
/* Waits until the device has used a chain; returns how many bytes it wrote. */
uint32_t queue_wait(struct device *d, unsigned q);
