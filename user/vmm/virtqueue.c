/* The split virtqueue. The names of the fields are those of virtio 1.2, 2.7. */
#include "user/vmm/virtqueue.h"

#include <linux/virtio_ring.h>
#include <string.h>

#include "user/vmm/machine.h"

void *guest_at(struct guest_memory guest, uint64_t address, uint64_t size)
{
    if (address > guest.size || size > guest.size - address)
        return NULL;
    if (address < HOLE_END && address + size > HOLE_START)
        return NULL;
    return guest.ram + address;
}

void guest_wrote(struct guest_memory guest, const void *data, uint64_t size)
{
    uint64_t at = (uint64_t)((const uint8_t *)data - guest.ram);

    for (uint64_t page = at / PAGE_SIZE; guest.written && page * PAGE_SIZE < at + size; page++)
        __atomic_store_n(&guest.written[page], 1, __ATOMIC_SEQ_CST);
}

static uint16_t load16(const uint16_t *field)
{
    return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

static const struct vring_avail *available_ring(const struct virtqueue *q, struct guest_memory g)
{
    return q->available & 1 ? NULL : guest_at(g, q->available, 6 + 2ull * q->size);
}

static struct vring_used *used_ring(const struct virtqueue *q, struct guest_memory g)
{
    return q->used & 3 ? NULL : guest_at(g, q->used, 6 + 8ull * q->size);
}

bool queue_ready(const struct virtqueue *q, struct guest_memory guest)
{
    const struct vring_avail *avail = available_ring(q, guest);

    return q->enabled && (!avail || load16(&avail->idx) != q->next_available);
}

/* Adds one descriptor that names memory. */
static const char *add_span(struct chain *c, struct guest_memory guest, const struct vring_desc *d)
{
    bool writable = d->flags & VRING_DESC_F_WRITE;
    uint64_t total = (uint64_t)c->readable_bytes + c->writable_bytes + d->len;

    if (c->count == QUEUE_SIZE)
        return "a chain of more descriptors than the queue has";
    if (!d->len)
        return "a descriptor of no bytes";
    if (total > CHAIN_BYTES)
        return "a chain of too many bytes";
    if (!writable && c->count > c->readable)
        return "a readable descriptor behind a writable one";
    uint8_t *data = guest_at(guest, d->addr, d->len);
    if (!data)
        return "a descriptor of memory that is not there";
    c->span[c->count++] = (struct span){data, d->len};
    if (writable) {
        c->writable_bytes += d->len;
    } else {
        c->readable = c->count;
        c->readable_bytes += d->len;
    }
    return NULL;
}

/* An indirect table may be anywhere. */
typedef struct vring_desc loose_desc __attribute__((aligned(1)));

/* Follows the descriptors from first on in a table of size descriptors. A descriptor that refers to
 * a table of its own ends the walk, and is handed back in *indirect. */
static const char *follow(struct chain *c, struct guest_memory guest, const void *table,
                          uint32_t size, uint32_t first, struct vring_desc *indirect)
{
    uint32_t i = first, steps = 0;
    const char *wrong;

    for (;;) {
        if (i >= size)
            return "a descriptor outside the table";
        if (steps++ == size)
            return "a loop of descriptors";
        struct vring_desc d = ((const volatile loose_desc *)table)[i];
        if (d.flags & VRING_DESC_F_INDIRECT) {
            if (!indirect || d.flags & VRING_DESC_F_NEXT)
                return "an indirect descriptor where none may be";
            *indirect = d;
            return NULL;
        }
        wrong = add_span(c, guest, &d);
        if (wrong || !(d.flags & VRING_DESC_F_NEXT))
            return wrong;
        i = d.next;
    }
}

const char *queue_take(struct virtqueue *q, struct guest_memory guest, struct chain *c)
{
    const struct vring_avail *avail = available_ring(q, guest);
    const void *table = guest_at(guest, q->descriptors, 16ull * q->size);
    struct vring_desc indirect = {.flags = 0};
    const char *wrong;

    if (!avail || !table || q->descriptors & 15 || !used_ring(q, guest))
        return "a ring in memory that is not there";
    if ((uint16_t)(load16(&avail->idx) - q->next_available) > q->size)
        return "more chains available than the queue has";
    c->head = load16(&avail->ring[q->next_available & (q->size - 1)]);
    c->readable = c->count = 0;
    c->readable_bytes = c->writable_bytes = 0;
    wrong = follow(c, guest, table, q->size, c->head, &indirect);
    if (wrong)
        return wrong;
    if (indirect.flags) {
        uint32_t size = indirect.len / sizeof(indirect);
        table = guest_at(guest, indirect.addr, indirect.len);
        if (!table || indirect.len % sizeof(indirect) || !size)
            return "an indirect table in memory that is not there";
        wrong = follow(c, guest, table, size, 0, NULL);
    }
    if (!wrong)
        q->next_available++;
    return wrong;
}

bool queue_give(struct virtqueue *q, struct guest_memory guest, const struct chain *c,
                uint32_t written)
{
    struct vring_used *used = used_ring(q, guest);
    const struct vring_avail *avail = available_ring(q, guest);

    if (!used || !avail)
        return false;
    used->ring[q->next_used & (q->size - 1)] = (struct vring_used_elem){c->head, written};
    __atomic_store_n(&used->idx, ++q->next_used, __ATOMIC_RELEASE);
    guest_wrote(guest, used, 6 + 8ull * q->size);
    for (unsigned i = c->readable; i < c->count; i++)
        guest_wrote(guest, c->span[i].data, c->span[i].size);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return !(load16(&avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

struct span chain_at(const struct chain *c, bool writable, uint32_t offset)
{
    unsigned i = writable ? c->readable : 0, end = writable ? c->count : c->readable;

    for (; i < end; offset -= c->span[i++].size)
        if (offset < c->span[i].size)
            return (struct span){c->span[i].data + offset, c->span[i].size - offset};
    return (struct span){NULL, 0};
}

static uint32_t copy(const struct chain *c, bool writable, uint32_t offset, uint8_t *buffer,
                     uint32_t size)
{
    uint32_t done = 0;

    while (done < size) {
        struct span s = chain_at(c, writable, offset + done);
        uint32_t n = s.size < size - done ? s.size : size - done;
        if (!n)
            break;
        if (writable)
            memcpy(s.data, buffer + done, n);
        else
            memcpy(buffer + done, s.data, n);
        done += n;
    }
    return done;
}

uint32_t chain_read(const struct chain *c, uint32_t offset, void *buffer, uint32_t size)
{
    return copy(c, false, offset, buffer, size);
}

uint32_t chain_write(const struct chain *c, uint32_t offset, const void *buffer, uint32_t size)
{
    return copy(c, true, offset, (uint8_t *)buffer, size);
}
