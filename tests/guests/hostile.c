/* Breaks each rule of virtqueues: after each the device must want a reset, or answer with an error,
 * and work again after it. What the monitor must not do is end, or touch what is not the guest's.
 */
#include "tests/guests/lib/virtio.h"

enum { PAGE = 4096, SECTOR = 512 };

static const uint16_t next = VRING_DESC_F_NEXT, write = VRING_DESC_F_WRITE,
                      indirect = VRING_DESC_F_INDIRECT;

static struct device disk;
static struct virtio_blk_outhdr header;
static uint8_t data[2 * PAGE] __attribute__((aligned(PAGE)));
static volatile uint8_t status;
static struct vring_desc table[256] __attribute__((aligned(16)));
static uint64_t ram_end;
static int wrong;

static void put(unsigned i, uint64_t address, uint32_t size, uint16_t flags, uint16_t link)
{
    disk.queue[0].desc[i] = (struct vring_desc){address, size, flags, link};
}

/* A read of one sector, right in every way. */
static void good(void)
{
    header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN};
    status = 0xff;
    put(0, (uint64_t)&header, sizeof(header), next, 1);
    put(1, (uint64_t)data, SECTOR, next | write, 2);
    put(2, (uint64_t)&status, 1, write, 0);
}

static void offer(void)
{
    queue_offer(&disk, 0, 0);
}

static void loop_of_one(void)
{
    put(0, (uint64_t)&header, 16, next, 0);
    offer();
}

static void loop_of_three(void)
{
    put(2, (uint64_t)data, SECTOR, next | write, 0);
    put(0, (uint64_t)data, SECTOR, next | write, 1);
    offer();
}

static void next_outside(void)
{
    put(1, (uint64_t)data, SECTOR, next | write, QUEUE);
    offer();
}

static void next_far_outside(void)
{
    put(1, (uint64_t)data, SECTOR, next | write, 0xffff);
    offer();
}

static void head_outside(void)
{
    queue_offer(&disk, 0, QUEUE);
}

static void head_far_outside(void)
{
    queue_offer(&disk, 0, 0xffff);
}

static void address_behind_ram(void)
{
    put(1, ram_end, SECTOR, next | write, 2);
    offer();
}

static void address_across_the_end(void)
{
    put(1, ram_end - SECTOR + 1, SECTOR, next | write, 2);
    offer();
}

static void address_in_the_hole(void)
{
    put(1, 0xa0000, SECTOR, next | write, 2);
    offer();
}

static void address_across_the_hole(void)
{
    put(1, 0x9f000, 0x30000, next | write, 2);
    offer();
}

static void address_wraps(void)
{
    put(1, UINT64_MAX - 255, SECTOR, next | write, 2);
    offer();
}

static void address_in_a_register(void)
{
    put(1, (uint64_t)disk.common, SECTOR, next | write, 2);
    offer();
}

static void length_overflows(void)
{
    put(1, (uint64_t)data, UINT32_MAX, next | write, 2);
    offer();
}

static void lengths_add_up(void)
{
    for (uint16_t i = 1; i < QUEUE - 1; i++)
        put(i, 1 << 20, 2u << 20, next | write, i + 1u);
    put(QUEUE - 1, (uint64_t)&status, 1, write, 0);
    offer();
}

static void length_zero(void)
{
    put(1, (uint64_t)data, 0, next | write, 2);
    offer();
}

static void readable_behind_writable(void)
{
    put(0, (uint64_t)data, SECTOR, next | write, 1);
    put(1, (uint64_t)&header, 16, next, 2);
    offer();
}

static void short_header(void)
{
    put(0, (uint64_t)&header, 15, next, 1);
    offer();
}

static void no_status(void)
{
    put(0, (uint64_t)&header, 16, 0, 0);
    offer();
}

static void index_jumps(void)
{
    *(volatile uint16_t *)&disk.queue[0].avail.idx += QUEUE + 1;
    offer();
}

static void index_goes_back(void)
{
    *(volatile uint16_t *)&disk.queue[0].avail.idx -= 3;
    offer();
}

static void indirect_with_next(void)
{
    table[0] = (struct vring_desc){(uint64_t)&header, 16, 0, 0};
    put(0, (uint64_t)table, 16, indirect | next, 1);
    offer();
}

static void indirect_in_indirect(void)
{
    table[0] = (struct vring_desc){(uint64_t)table, 16, indirect, 0};
    put(0, (uint64_t)table, 16, indirect, 0);
    offer();
}

static void indirect_of_no_size(void)
{
    put(0, (uint64_t)table, 0, indirect, 0);
    offer();
}

static void indirect_of_half_an_entry(void)
{
    put(0, (uint64_t)table, 24, indirect, 0);
    offer();
}

static void indirect_outside(void)
{
    put(0, ram_end - 16, 32, indirect, 0);
    offer();
}

static void indirect_loops(void)
{
    table[0] = (struct vring_desc){(uint64_t)&header, 16, next, 1};
    table[1] = (struct vring_desc){(uint64_t)data, SECTOR, next | write, 1};
    put(0, (uint64_t)table, sizeof(table), indirect, 0);
    offer();
}

static void indirect_too_long(void)
{
    for (uint16_t i = 0; i < 255; i++)
        table[i] = (struct vring_desc){(uint64_t)data, 1, next | write, i + 1u};
    table[255] = (struct vring_desc){(uint64_t)&status, 1, write, 0};
    put(0, (uint64_t)table, sizeof(table), indirect, 0);
    offer();
}

/* Rings in places where they cannot be: the queue is set up anew first. */
static void ring_at(uint64_t desc, uint64_t avail, uint64_t used)
{
    disk.common->device_status = 0;
    disk.common->device_status = 3;
    disk.common->guest_feature_select = 1;
    disk.common->guest_feature = 1;
    disk.common->device_status = 11;
    disk.common->queue_select = 0;
    disk.common->queue_size = QUEUE;
    disk.common->queue_desc_lo = (uint32_t)desc;
    disk.common->queue_desc_hi = (uint32_t)(desc >> 32);
    disk.common->queue_avail_lo = (uint32_t)avail;
    disk.common->queue_avail_hi = (uint32_t)(avail >> 32);
    disk.common->queue_used_lo = (uint32_t)used;
    disk.common->queue_used_hi = (uint32_t)(used >> 32);
    disk.common->queue_enable = 1;
    disk.common->device_status = 15;
    offer();
}

#define DESC (uint64_t) disk.queue[0].desc
#define AVAIL (uint64_t) & disk.queue[0].avail
#define USED (uint64_t) & disk.queue[0].used

static void descriptors_outside(void)
{
    ring_at(ram_end - 16, AVAIL, USED);
}

static void descriptors_wrap(void)
{
    ring_at(UINT64_MAX - 15, AVAIL, USED);
}

static void descriptors_unaligned(void)
{
    ring_at(DESC + 8, AVAIL, USED);
}

static void available_outside(void)
{
    ring_at(DESC, ram_end - 4, USED);
}

static void available_unaligned(void)
{
    ring_at(DESC, AVAIL + 1, USED);
}

static void used_outside(void)
{
    ring_at(DESC, AVAIL, ram_end);
}

static void used_far_outside(void)
{
    ring_at(DESC, AVAIL, 0x7fffffff00000000);
}

static void used_unaligned(void)
{
    ring_at(DESC, AVAIL, USED + 2);
}

static void used_in_the_hole(void)
{
    ring_at(DESC, AVAIL, 0xa0000);
}

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    CASE(loop_of_one),         CASE(loop_of_three),
    CASE(next_outside),        CASE(next_far_outside),
    CASE(head_outside),        CASE(head_far_outside),
    CASE(address_behind_ram),  CASE(address_across_the_end),
    CASE(address_in_the_hole), CASE(address_across_the_hole),
    CASE(address_wraps),       CASE(address_in_a_register),
    CASE(length_overflows),    CASE(lengths_add_up),
    CASE(length_zero),         CASE(readable_behind_writable),
    CASE(short_header),        CASE(no_status),
    CASE(index_jumps),         CASE(index_goes_back),
    CASE(indirect_with_next),  CASE(indirect_in_indirect),
    CASE(indirect_of_no_size), CASE(indirect_of_half_an_entry),
    CASE(indirect_outside),    CASE(indirect_loops),
    CASE(indirect_too_long),   CASE(descriptors_outside),
    CASE(descriptors_wrap),    CASE(descriptors_unaligned),
    CASE(available_outside),   CASE(available_unaligned),
    CASE(used_outside),        CASE(used_far_outside),
    CASE(used_unaligned),      CASE(used_in_the_hole),
};

static void check(const char *name, bool right, const char *what)
{
    if (right)
        return;
    print("%s: %s\n", name, what);
    wrong++;
}

static void works(const char *name)
{
    check(name, device_start(&disk, 0), "the device does not start again");
    good();
    offer();
    queue_wait(&disk, 0);
    check(name, status == VIRTIO_BLK_S_OK, "a good request fails afterwards");
}

static void run_case(unsigned i)
{
    works(cases[i].name);
    good();
    cases[i].run();
    check(cases[i].name, disk.common->device_status & VIRTIO_CONFIG_S_NEEDS_RESET,
          "the device does not want a reset");
    check(cases[i].name, *disk.isr & VIRTIO_PCI_ISR_CONFIG, "it does not say so");
    uint16_t used = *(volatile uint16_t *)&disk.queue[0].used.idx;
    good();
    offer();
    check(cases[i].name, *(volatile uint16_t *)&disk.queue[0].used.idx == used,
          "it goes on without a reset");
}

/* Registers with all kinds of values and widths, and configuration space likewise. */
static void shake_registers(void)
{
    volatile uint8_t *bar = (volatile uint8_t *)disk.common;
    uint32_t x = 12345;

    for (unsigned i = 0; i < 3000; i++) {
        x = x * 1664525 + 1013904223;
        volatile uint8_t *at = bar + (i & 1 ? x >> 8 & 63 : x >> 8 & 0x7ff8);
        switch (x >> 28 & 3) {
        case 0:
            *at = (uint8_t)(x >> 20);
            break;
        case 1:
            *(volatile uint16_t *)at = (uint16_t)(x >> 12);
            break;
        case 2:
            *(volatile uint32_t *)at = x & 0x100 ? UINT32_MAX : x;
            break;
        default:
            (void)*(volatile uint64_t *)at;
        }
    }
    for (unsigned i = 0; i < 1000; i++) {
        x = x * 1664525 + 1013904223;
        unsigned at = x >> 8 & 0xfc;
        if (at != 0x10)
            pci_write(disk.slot, at, x);
        (void)pci_read(disk.slot, at);
    }
    pci_write(disk.slot, 4, 6);
}

static void refuses_features(void)
{
    check("features", !device_start(&disk, 1ull << 63), "a feature not offered is taken");
    disk.common->device_status = 0;
    disk.common->device_status = 11;
    check("features", !(disk.common->device_status & 8), "VERSION_1 is not insisted on");
    disk.common->device_status = 0;
    disk.common->device_status = 7;
    check("status", !(disk.common->device_status & 4), "DRIVER_OK without features is taken");
}

int guest_main(const char *words)
{
    ram_end = (1 << 20) + (uint64_t)memory_kib() * 1024;
    if (!device_find(&disk, VIRTIO_ID_BLOCK, 0)) {
        print("no disk\n");
        return 1;
    }
    refuses_features();
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        run_case(i);
    shake_registers();
    works("after the registers");
    print("hostile: %u cases, %d wrong\n", (unsigned)(sizeof(cases) / sizeof(cases[0])), wrong);
    return wrong != 0;
}
