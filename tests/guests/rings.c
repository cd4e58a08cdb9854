/*
 * A driver without manners for each virtio device that the machine has: from a seed (seed=) as many
 * rounds as rounds= says of random rings, descriptors and registers, which with cpus=2 a second
 * processor rewrites while the device reads them. After each round the device must start again, and
 * do what it is for.
 *
 * The devices are told of memory only that this guest does not live from: SHARED for all but the
 * balloon, which takes away each page that it finds the number of, and has LISTS. Behind them lies
 * memory that nobody was told of, which must stay as it is.
 */
#include "tests/guests/lib/virtio.h"

enum { PAGE = 4096, SECTOR = 512, DEVICES = 6, LARGEST = 128, NOBODY = DEVICES };
enum { SHARED = 2 << 20, LISTS = 5 << 20, UNTOLD = 6 << 20, UNTOLD_END = 7 << 20, END = 65536 };
enum { PLACE = 0x4000, AVAILABLE = 0x1000, USED = 0x2000, INDIRECT = 0x3000, DATA = 0x20000 };
enum { FIRST_ID = 0x1040, VECTORS = 0x4000, BAR_SIZE = 0x8000, MODES = 0x700, PATIENCE = 1 << 22 };
#define PATTERN 0x5a17c0de00000000ull

struct dice {
    uint64_t state;
};

static struct device devices[DEVICES];
static unsigned kinds[DEVICES], count, wrong, chains;
static uint64_t ram_end;
static struct dice dice[2];

/* Whom the second processor plagues, and whom it plagued when it last looked. */
static volatile unsigned subject = NOBODY, seen = NOBODY;

static uint64_t roll(struct dice *d, uint64_t below)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return d->state % below;
}

static uint64_t arena(unsigned i)
{
    return kinds[i] == VIRTIO_ID_BALLOON ? LISTS : SHARED;
}

/* An address that the device may be told of, or one where there is no memory. */
static uint64_t some_address(struct dice *d, unsigned i)
{
    static const uint64_t nowhere[] = {0xa0000,    0xbfff0,    0xffffff,   0x1000000,
                                       1u << 31,   0xe0000000, 0xfee00000, 0xfffffff0,
                                       1ull << 32, 1ull << 47, 1ull << 63, UINT64_MAX - 15};
    unsigned odd = kinds[i] == VIRTIO_ID_BALLOON ? 0 : (unsigned)roll(d, 4);

    switch (roll(d, 16)) {
    case 0:
        return nowhere[roll(d, sizeof(nowhere) / sizeof(nowhere[0]))];
    case 1:
        return ram_end - (kinds[i] == VIRTIO_ID_BALLOON ? 0 : 4 * roll(d, END / 4));
    case 2:
        return arena(i) + roll(d, 1 << 17) * 4 + odd;
    default:
        return arena(i) + DATA + roll(d, 512) * SECTOR;
    }
}

static uint32_t some_length(struct dice *d)
{
    static const uint32_t some[] = {0, 1, 4, 16, SECTOR, 8 * SECTOR, PAGE, 65536, 1 << 18};

    if (!roll(d, 32))
        return UINT32_MAX - (uint32_t)roll(d, PAGE);
    return some[roll(d, sizeof(some) / sizeof(some[0]))];
}

static void *place(unsigned i, uint64_t q, unsigned part)
{
    return (void *)(arena(i) + q * PLACE + part);
}

static struct vring_desc some_descriptor(struct dice *d, unsigned i)
{
    return (struct vring_desc){
        .addr = roll(d, 8) ? some_address(d, i) : (uint64_t)place(i, roll(d, 2), INDIRECT),
        .len = some_length(d),
        .flags = (uint16_t)(roll(d, 8)    ? roll(d, 4)
                            : roll(d, 16) ? roll(d, 8)
                                          : 0xffff),
        .next = (uint16_t)(roll(d, 8) ? roll(d, 18) : roll(d, 65536)),
    };
}

/* From at on in a table a chain that most devices take: readable memory, the first of it what may
 * be a disk's request, then writable. */
static void put_chain(struct dice *d, unsigned i, struct vring_desc *table, unsigned at)
{
    unsigned readable = (unsigned)roll(d, 3), writable = (unsigned)roll(d, 3) + !readable;
    unsigned length = readable + writable;

    for (unsigned n = 0; n < length; n++) {
        bool last = n == length - 1;
        table[at + n] = (struct vring_desc){
            .addr = arena(i) + DATA + roll(d, 512) * SECTOR,
            .len = !n && readable     ? 16
                   : last && writable ? 1
                                      : SECTOR << roll(d, 5),
            .flags = (uint16_t)((last ? 0 : VRING_DESC_F_NEXT) |
                                (n < readable ? 0 : VRING_DESC_F_WRITE)),
            .next = (uint16_t)(at + n + 1),
        };
    }
    if (readable && kinds[i] == VIRTIO_ID_BLOCK)
        *(struct virtio_blk_outhdr *)table[at].addr =
            (struct virtio_blk_outhdr){.type = (uint32_t)roll(d, 10),
                                       .sector = roll(d, 8) ? roll(d, 256) : ~0ull - roll(d, 9)};
    else if (readable)
        for (unsigned n = 0; n < 16; n++)
            ((uint32_t *)table[at].addr)[n] =
                (uint32_t)(roll(d, 32) ? (LISTS >> 12) + roll(d, 256)
                                       : roll(d, 1ull << 32) | 1 << 20);
}

/* Changes something in a queue's memory. */
static void mutate(struct dice *d, unsigned i)
{
    uint64_t q = roll(d, 2);
    struct vring_desc *table = place(i, q, roll(d, 4) ? 0 : INDIRECT);
    volatile uint16_t *available = place(i, q, AVAILABLE);
    unsigned at = (unsigned)roll(d, 16);

    switch (roll(d, 8)) {
    case 0:
        table[at] = some_descriptor(d, i);
        break;
    case 1:
        table[at].addr = some_address(d, i);
        break;
    case 2:
        table[at].len = some_length(d);
        break;
    case 3:
        table[at] = (struct vring_desc){(uint64_t)place(i, q, INDIRECT),
                                        16 * (uint32_t)roll(d, 20) + !roll(d, 32), 4, 0};
        break;
    case 4:
        available[0] = (uint16_t)roll(d, 2);
        break;
    case 5:
        available[1] = (uint16_t)(roll(d, 16) ? available[1] + roll(d, 3) : roll(d, 256) - 128);
        break;
    case 6:
        available[2 + roll(d, 16)] = (uint16_t)(roll(d, 8) ? roll(d, 18) : roll(d, 65536));
        break;
    default:
        put_chain(d, i, table, at);
        break;
    }
}

static uint64_t some_value(struct dice *d, unsigned i)
{
    uint64_t a = some_address(d, i), b = roll(d, 64) << 32;

    return roll(d, 3) ? roll(d, 2) ? roll(d, 256) : a : (a & UINT32_MAX) | b;
}

/* Reads or writes a register or what lies between them. A message must not be one that ends the
 * guest: so it has no delivery mode. */
static void poke(struct dice *d, unsigned i)
{
    uint64_t value = some_value(d, i);
    unsigned size = 1u << roll(d, 4), pages = BAR_SIZE / PAGE;
    unsigned at = (unsigned)(roll(d, 4) ? roll(d, pages) * PAGE + roll(d, 72) : roll(d, BAR_SIZE));
    volatile uint8_t *where = (volatile uint8_t *)devices[i].common + at / size * size;

    if (at / PAGE == VECTORS / PAGE)
        value &= ~(uint64_t)(MODES | (uint64_t)MODES << 32);
    if (roll(d, 4) == 0)
        size == 1   ? (void)*where
        : size == 2 ? (void)*(volatile uint16_t *)where
        : size == 4 ? (void)*(volatile uint32_t *)where
                    : (void)*(volatile uint64_t *)where;
    else if (size == 1)
        *where = (uint8_t)value;
    else if (size == 2)
        *(volatile uint16_t *)where = (uint16_t)value;
    else if (size == 4)
        *(volatile uint32_t *)where = (uint32_t)value;
    else
        *(volatile uint64_t *)where = value;
}

/* Likewise in the configuration space, all but the address of the registers. */
static void poke_config(struct dice *d, unsigned i)
{
    unsigned at = (unsigned)roll(d, 64) * 4;

    if (at != 0x10 && roll(d, 4))
        pci_write(devices[i].slot, at, (uint32_t)some_value(d, i) & ~(uint32_t)MODES);
    else
        pci_read(devices[i].slot, at);
}

static void notify(unsigned i, uint64_t q)
{
    *(volatile uint16_t *)(devices[i].notify + 4 * q) = (uint16_t)q;
}

/* The device with queues of any size, mostly where they should be. */
static void start_badly(struct dice *d, unsigned i)
{
    volatile struct virtio_pci_common_cfg *c = devices[i].common;

    device_start(&devices[i], 0);
    c->device_status = 0;
    c->device_status = 3;
    c->guest_feature_select = roll(d, 32) ? 1 : (uint32_t)roll(d, 5);
    c->guest_feature = 1;
    c->guest_feature_select = 0;
    c->guest_feature = (uint32_t)(roll(d, 32) ? devices[i].features & d->state : d->state);
    c->device_status = 11;
    for (uint16_t q = 0; q < 2; q++) {
        uint64_t part[3] = {(uint64_t)place(i, q, 0), (uint64_t)place(i, q, AVAILABLE),
                            (uint64_t)place(i, q, USED)};
        if (!roll(d, 8))
            part[roll(d, 3)] = some_address(d, i);
        for (unsigned n = 0; n < (PLACE - 1) / 8; n++)
            ((uint64_t *)place(i, q, 0))[n] = 0;
        c->queue_select = q;
        c->queue_size = (uint16_t)(1u << roll(d, 8));
        c->queue_desc_lo = (uint32_t)part[0];
        c->queue_desc_hi = (uint32_t)(part[0] >> 32);
        c->queue_avail_lo = (uint32_t)part[1];
        c->queue_avail_hi = (uint32_t)(part[1] >> 32);
        c->queue_used_lo = (uint32_t)part[2];
        c->queue_used_hi = (uint32_t)(part[2] >> 32);
        c->queue_enable = 1;
    }
    c->device_status = 15;
}

static void check(unsigned i, bool right, const char *what)
{
    if (right)
        return;
    print("rings: device %u of kind %u: %s\n", i, kinds[i], what);
    wrong++;
}

static bool used_in_time(struct device *d, unsigned q)
{
    volatile struct vring_used *used = &d->queue[q].used;

    for (unsigned n = 0; n < PATIENCE; n++) {
        if (used->idx != d->queue[q].seen)
            return true;
        __asm__ volatile("pause" ::: "memory");
    }
    return false;
}

/* What the device is for, once. */
static void check_works(unsigned i)
{
    static struct virtio_blk_outhdr header;
    static uint8_t data[SECTOR];
    static volatile uint8_t status;
    struct device *d = &devices[i];
    bool disk = kinds[i] == VIRTIO_ID_BLOCK;

    pci_write(d->slot, 4, 6);
    check(i, device_start(d, 0), "it does not start again");
    if (!disk && kinds[i] != VIRTIO_ID_RNG)
        return;
    header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN};
    status = 0xff;
    if (disk)
        queue_put(d, 0, 0, &header, sizeof(header), VRING_DESC_F_NEXT);
    queue_put(d, 0, disk, data, SECTOR, VRING_DESC_F_WRITE | (disk ? VRING_DESC_F_NEXT : 0));
    queue_put(d, 0, 2, (void *)&status, 1, VRING_DESC_F_WRITE);
    queue_offer(d, 0, 0);
    check(i, used_in_time(d, 0), "a good request is not answered");
    check(i, !disk || status == VIRTIO_BLK_S_OK, "a good request fails");
    d->common->device_status = 0;
}

static void check_untold(void)
{
    volatile uint64_t *word = (volatile uint64_t *)UNTOLD;

    for (uint64_t n = 0; n < (UNTOLD_END - UNTOLD) / 8; n += 61)
        check(0, word[n] == (PATTERN | n), "memory that nobody was told of has changed");
}

static void plague(struct dice *d, unsigned i)
{
    uint64_t what = roll(d, 32);

    if (what < 22)
        mutate(d, i);
    else if (what < 30)
        notify(i, roll(d, 2));
    else
        poke(d, i);
}

static void second_cpu(void)
{
    for (;;) {
        seen = subject;
        if (seen != NOBODY)
            plague(&dice[1], seen);
        __asm__ volatile("pause" ::: "memory");
    }
}

/* Queues full of what the device takes, to begin with. */
static void start_well(struct dice *d, unsigned i)
{
    start_badly(d, i);
    for (unsigned q = 0; q < 2; q++) {
        volatile uint16_t *available = place(i, q, AVAILABLE);
        for (unsigned n = 0; n < 4; n++) {
            put_chain(d, i, place(i, q, 0), 4 * n);
            available[2 + n] = (uint16_t)(4 * n);
        }
        available[1] = 1 + (uint16_t)roll(d, 4);
    }
}

static void count_chains(unsigned i)
{
    for (unsigned q = 0; q < 2; q++)
        chains += ((volatile struct vring_used *)place(i, q, USED))->idx;
}

static void one_round(bool second)
{
    struct dice *d = &dice[0];
    unsigned i = (unsigned)roll(d, count);

    start_well(d, i);
    subject = second ? i : NOBODY;
    for (uint64_t n = 0; n < 60; n++) {
        if (roll(d, 16))
            plague(d, i);
        else
            poke_config(d, i);
        if (devices[i].common->device_status & VIRTIO_CONFIG_S_NEEDS_RESET && roll(d, 4)) {
            count_chains(i);
            pci_write(devices[i].slot, 4, 6);
            start_well(d, i);
        }
    }
    count_chains(i);
    subject = NOBODY;
    while (second && seen != NOBODY)
        __asm__ volatile("pause" ::: "memory");
    check_works(i);
    check_untold();
}

static void find_devices(void)
{
    static const unsigned ids[] = {VIRTIO_ID_BLOCK, VIRTIO_ID_CONSOLE, VIRTIO_ID_RNG,
                                   VIRTIO_ID_BALLOON};

    for (unsigned k = 0; k < sizeof(ids) / sizeof(ids[0]); k++)
        for (unsigned nth = 0; device_find(&devices[count], ids[k], nth); nth++)
            kinds[count++] = ids[k];
}

int guest_main(const char *words)
{
    uint64_t rounds = option_number(words, "rounds", 10), seed = option_number(words, "seed", 1);
    bool second = option_number(words, "cpus", 1) == 2;
    volatile uint64_t *memory = NULL;

    ram_end = (1 << 20) + (uint64_t)memory_kib() * 1024;
    find_devices();
    for (unsigned n = 0; n < 2; n++)
        dice[n].state = (seed + 1) * 0x9e3779b97f4a7c15ull + n;
    if (second)
        second_cpu_start(second_cpu);
    memory += UNTOLD / 8;
    for (uint64_t n = 0; n < (UNTOLD_END - UNTOLD) / 8; n++)
        memory[n] = PATTERN | n;
    for (uint64_t n = 0; n < rounds && count && wrong < 10; n++)
        one_round(second);
    print("rings: %u devices, %llu rounds, %u chains served, %u wrong\n", count,
          (unsigned long long)rounds, chains, wrong);
    return wrong ? 10 : 0;
}
