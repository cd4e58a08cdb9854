/* The virtio driver of the test guests. */
#include "tests/guests/lib/virtio.h"

enum { ADDRESS = 0xcf8, DATA = 0xcfc, SLOTS = 8, VENDOR = 0x1af4, FIRST_ID = 0x1040 };
enum { DEVICES = 6 };

static struct queue queues[DEVICES + 2][QUEUES];

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

uint32_t pci_read(unsigned slot, unsigned at)
{
    outl(ADDRESS, 0x80000000u | slot << 11 | at);
    return inl(DATA);
}

void pci_write(unsigned slot, unsigned at, uint32_t value)
{
    outl(ADDRESS, 0x80000000u | slot << 11 | at);
    outl(DATA, value);
}

static void read_capabilities(struct device *d)
{
    volatile uint8_t *bar = (volatile uint8_t *)(uint64_t)(pci_read(d->slot, 0x10) & ~15u);

    for (unsigned at = pci_read(d->slot, 0x34) & 0xff; at; at = pci_read(d->slot, at) >> 8 & 0xff) {
        uint32_t head = pci_read(d->slot, at);
        volatile uint8_t *part = bar + pci_read(d->slot, at + 8);
        if ((head & 0xff) != 9)
            continue;
        if (head >> 24 == VIRTIO_PCI_CAP_COMMON_CFG)
            d->common = (volatile struct virtio_pci_common_cfg *)part;
        else if (head >> 24 == VIRTIO_PCI_CAP_NOTIFY_CFG)
            d->notify = part;
        else if (head >> 24 == VIRTIO_PCI_CAP_ISR_CFG)
            d->isr = part;
        else if (head >> 24 == VIRTIO_PCI_CAP_DEVICE_CFG)
            d->config = part;
    }
}

bool device_find(struct device *d, unsigned id, unsigned nth)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (pci_read(slot, 0) != (VENDOR | (FIRST_ID + id) << 16) || nth--)
            continue;
        *d = (struct device){
            .slot = slot, .irq = (uint8_t)pci_read(slot, 0x3c), .queue = queues[slot]};
        read_capabilities(d);
        pci_write(slot, 4, pci_read(slot, 4) | 6);
        return true;
    }
    return false;
}

static void start_queue(struct device *d, uint16_t i)
{
    struct queue *q = &d->queue[i];

    *q = (struct queue){.seen = 0};
    d->common->queue_select = i;
    if (!d->common->queue_size)
        return;
    d->common->queue_size = QUEUE;
    d->common->queue_desc_lo = (uint32_t)(uint64_t)q->desc;
    d->common->queue_avail_lo = (uint32_t)(uint64_t)&q->avail;
    d->common->queue_used_lo = (uint32_t)(uint64_t)&q->used;
    d->common->queue_enable = 1;
}

bool device_start(struct device *d, uint64_t features)
{
    features |= 1ull << VIRTIO_F_VERSION_1;
    d->common->device_status = 0;
    d->common->device_status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
    d->features = 0;
    for (unsigned half = 0; half < 2; half++) {
        d->common->device_feature_select = half;
        d->features |= (uint64_t)d->common->device_feature << 32 * half;
        d->common->guest_feature_select = half;
        d->common->guest_feature = (uint32_t)(features >> 32 * half);
    }
    d->common->device_status |= VIRTIO_CONFIG_S_FEATURES_OK;
    if (!(d->common->device_status & VIRTIO_CONFIG_S_FEATURES_OK))
        return false;
    for (uint16_t i = 0; i < QUEUES; i++)
        start_queue(d, i);
    d->common->device_status |= VIRTIO_CONFIG_S_DRIVER_OK;
    return true;
}

void queue_put(struct device *d, unsigned q, unsigned i, void *data, uint32_t size, uint16_t flags)
{
    d->queue[q].desc[i] = (struct vring_desc){
        .addr = (uint64_t)data, .len = size, .flags = flags, .next = (uint16_t)(i + 1)};
}

void queue_offer(struct device *d, unsigned q, uint16_t head)
{
    volatile struct vring_avail *avail = &d->queue[q].avail;

    avail->ring[avail->idx % QUEUE] = head;
    __asm__ volatile("mfence" ::: "memory");
    avail->idx++;
    *(volatile uint16_t *)(d->notify + 4 * q) = (uint16_t)q;
}

uint32_t queue_wait(struct device *d, unsigned q)
{
    volatile struct vring_used *used = &d->queue[q].used;
    struct queue *queue = &d->queue[q];

    while (used->idx == queue->seen)
        __asm__ volatile("pause" ::: "memory");
    return used->ring[queue->seen++ % QUEUE].len;
}
