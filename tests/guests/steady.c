/* Counts on COM1 while it writes to `pages` pages; each round it checks that every page has what
 * the last round wrote, so memory that is lost or old shows. `count` rounds, `work` times a page.
 * disk=1: each round also writes a sector of a disk and reads the one of the last round into a page
 * that nobody but the device ever writes to. typed=1: says at the end what was typed, up to a dot.
 * key=1: ends as soon as a key was typed.
 */
#include "tests/guests/lib/virtio.h"

enum { PAGE = 4096, FIRST = 4 << 20, SECTOR = 512, KEPT = 64 };

static unsigned wrong;
static struct device disk;
static uint64_t kept[KEPT][PAGE / sizeof(uint64_t)] __attribute__((aligned(PAGE)));

static volatile uint64_t *page_at(uint64_t i)
{
    return (volatile uint64_t *)(uintptr_t)(FIRST + i * PAGE);
}

static void transfer(uint32_t type, uint64_t sector, void *data)
{
    struct virtio_blk_outhdr header = {.type = type, .sector = sector};
    uint16_t write = type == VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE;
    volatile uint8_t status = 0xff;

    queue_put(&disk, 0, 0, &header, sizeof(header), VRING_DESC_F_NEXT);
    queue_put(&disk, 0, 1, data, SECTOR, VRING_DESC_F_NEXT | write);
    queue_put(&disk, 0, 2, (void *)&status, 1, VRING_DESC_F_WRITE);
    queue_offer(&disk, 0, 0);
    queue_wait(&disk, 0);
    wrong += status != VIRTIO_BLK_S_OK;
}

static void use_disk(uint64_t round)
{
    static uint64_t out[SECTOR / sizeof(uint64_t)];

    for (unsigned i = 0; i < SECTOR / sizeof(uint64_t); i++)
        out[i] = round * (i + 1);
    transfer(VIRTIO_BLK_T_OUT, round % KEPT, out);
    transfer(VIRTIO_BLK_T_IN, (round - 1) % KEPT, kept[round % KEPT]);
    for (uint64_t r = round < KEPT ? 1 : round - KEPT + 1; r <= round; r++)
        wrong += kept[r % KEPT][7] != (r - 1) * 8;
}

static void use_pages(uint64_t round, uint64_t pages, uint64_t work)
{
    for (uint64_t i = 0; i < pages; i++) {
        volatile uint64_t *p = page_at(i);
        wrong += *p != (round - 1) * (i + 1);
        for (uint64_t n = 0; n < work; n++)
            p[n % 512] = n;
        *p = round * (i + 1);
    }
}

enum { COM1 = 0x3f8, STATUS = 5, READY = 1 };

/* The monitor gives keys to those who ask twice. */
static bool key_waits(void)
{
    (void)inb(COM1 + STATUS);
    return inb(COM1 + STATUS) & READY;
}

static void repeat_typed(void)
{
    char c = 0;

    print("typed: ");
    while (c != '.') {
        while (!(inb(COM1 + STATUS) & READY))
            ;
        c = (char)inb(COM1);
        print("%c", c);
    }
    print("\n");
}

int guest_main(const char *command_line)
{
    uint64_t count = option_number(command_line, "count", 100);
    uint64_t pages = option_number(command_line, "pages", 64);
    uint64_t work = option_number(command_line, "work", 100);
    bool has_disk = option_number(command_line, "disk", 0);
    bool until_key = option_number(command_line, "key", 0);

    if (has_disk && (!device_find(&disk, VIRTIO_ID_BLOCK, 0) || !device_start(&disk, 0)))
        wrong++;
    for (uint64_t round = 1; round <= count && !(until_key && key_waits()); round++) {
        use_pages(round, pages, work);
        if (has_disk)
            use_disk(round);
        print("count %llu\n", (unsigned long long)round);
    }
    if (option_number(command_line, "typed", 0))
        repeat_typed();
    print("wrong %u\n", wrong);
    return wrong != 0;
}
