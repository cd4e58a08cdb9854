#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "user/vmm/image.h"

/*
 * The split virtqueue, the device's side (virtio 1.2, 2.7). All of it is the guest's memory, and
 * the guest may change it at any time: each field is read once, checked, and then used. What is
 * wrong with a queue is said as a text; the caller gives the device up until its driver resets it.
 */

/* Limits: of a queue, and so of a chain's descriptors, and of the bytes in a chain. */
enum { QUEUE_SIZE = 128, CHAIN_BYTES = 16 << 20 };

/* Plain data: it may be saved and loaded as it is, for the addresses are checked at each use. */
struct virtqueue {
    uint64_t descriptors, available, used; /* guest-physical */
    uint16_t size;
    uint16_t next_available, next_used;
    uint16_t vector; /* MSI-X */
    uint8_t enabled;
    uint8_t more; /* the guest's last notice is not used up */
};

/* A piece of guest memory, where the monitor sees it. */
struct span {
    uint8_t *data;
    uint32_t size;
};

/* What the guest asks for at once: spans to read from, then spans to write to. */
struct chain {
    uint16_t head;
    unsigned readable, count; /* of the count spans the first are readable */
    uint32_t readable_bytes, writable_bytes;
    struct span span[QUEUE_SIZE];
};

/* Where guest-physical [address, address + size) is in the monitor; NULL unless all of it is RAM.
 */
void *guest_at(struct guest_memory guest, uint64_t address, uint64_t size);

/* Whoever writes to the guest's memory says so afterwards: KVM's log does not see it. */
void guest_wrote(struct guest_memory guest, const void *data, uint64_t size);

/* Whether the guest has offered a chain that is not taken yet, or the queue is broken. */
bool queue_ready(const struct virtqueue *q, struct guest_memory guest);
/* Takes the next chain. NULL: it is in *c; else what is wrong with the queue. Only when
 * queue_ready() says so. */
const char *queue_take(struct virtqueue *q, struct guest_memory guest, struct chain *c);
/* Gives a chain back with that many bytes written to it. True: the guest wants an interrupt. */
bool queue_give(struct virtqueue *q, struct guest_memory guest, const struct chain *c,
                uint32_t written);

/* What lies together at an offset in the chain's readable or writable bytes; size 0: the end. */
struct span chain_at(const struct chain *c, bool writable, uint32_t offset);
/* Copies between a buffer and the chain; returns how many bytes there were. */
uint32_t chain_read(const struct chain *c, uint32_t offset, void *buffer, uint32_t size);
uint32_t chain_write(const struct chain *c, uint32_t offset, const void *buffer, uint32_t size);
