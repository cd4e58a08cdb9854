/* Drives each virtio device that the machine has, as a driver that keeps the rules: what the
 * command line names of disk=, console=, rng= and balloon=. write= is what the disk is filled with;
 * cut=1 waits until its end is gone, cut=2 until all of it is; msi=1 wants messages; spin=1 never
 * ends. */
#include "tests/guests/lib/virtio.h"

enum { SECTOR = 512, CHUNK = 64 * 1024, PAGE = 4096 };

static int wrong;
static uint8_t buffer[CHUNK], again[CHUNK];
static volatile unsigned interrupts;
static struct device on_irq_device;

static void expect(const char *what, uint64_t got, uint64_t expected)
{
    if (got == expected)
        return;
    print("%s: 0x%llx, expected 0x%llx\n", what, (unsigned long long)got,
          (unsigned long long)expected);
    wrong++;
}

static void on_irq(unsigned irq)
{
    if (irq != on_irq_device.irq)
        return;
    if (!on_irq_device.isr) {
        interrupts++;
        *(volatile uint32_t *)0xfee000b0 = 0;
    } else if (*on_irq_device.isr & 1) {
        interrupts++;
    }
}

static uint8_t disk_request(struct device *d, uint32_t type, uint64_t sector, void *data,
                            uint32_t size)
{
    struct virtio_blk_outhdr header = {.type = type, .sector = sector};
    uint16_t write = type == VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE;
    volatile uint8_t status = 0xff;
    unsigned n = 0;

    queue_put(d, 0, n++, &header, sizeof(header), VRING_DESC_F_NEXT);
    if (size)
        queue_put(d, 0, n++, data, size, VRING_DESC_F_NEXT | write);
    queue_put(d, 0, n++, (void *)&status, 1, VRING_DESC_F_WRITE);
    queue_offer(d, 0, 0);
    queue_wait(d, 0);
    return status;
}

/* One transfer by an indirect table, cut into pieces that no field respects. */
static uint8_t disk_read_in_pieces(struct device *d, uint64_t sector, uint8_t *data)
{
    struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN, .sector = sector};
    volatile uint8_t status = 0xff;
    const uint16_t next = VRING_DESC_F_NEXT, write = VRING_DESC_F_WRITE;
    struct vring_desc table[] = {
        {(uint64_t)&header, 5, next, 1},
        {(uint64_t)&header + 5, 11, next, 2},
        {(uint64_t)data, 1, next | write, 3},
        {(uint64_t)data + 1, 511, next | write, 5},
        {0, 0, 0, 0},
        {(uint64_t)&status, 1, write, 0},
    };

    queue_put(d, 0, 3, table, sizeof(table), VRING_DESC_F_INDIRECT);
    queue_offer(d, 0, 3);
    expect("bytes written to the chain", queue_wait(d, 0), SECTOR + 1);
    return status;
}

/* MSI-X: a message for each request, and one that waits while it is masked. */
static void disk_messages(struct device *d)
{
    enum { MSIX = 0x11, IRQ = 8, VECTOR = 32 + IRQ };
    unsigned at = pci_read(d->slot, 0x34) & 0xff;
    volatile uint32_t *apic = (volatile uint32_t *)0xfee00000;

    while (at && (pci_read(d->slot, at) & 0xff) != MSIX)
        at = pci_read(d->slot, at) >> 8 & 0xff;
    if (!at) {
        expect("MSI-X capabilities", 0, 1);
        return;
    }
    volatile uint8_t *bar = (volatile uint8_t *)(uint64_t)pci_read(d->slot, 0x10);
    volatile uint32_t *entry = (volatile uint32_t *)(bar + pci_read(d->slot, at + 4)) + 4;
    volatile uint32_t *pending = (volatile uint32_t *)(bar + pci_read(d->slot, at + 8));
    apic[0xf0 / 4] = 0x1ff;
    entry[0] = 0xfee00000;
    entry[1] = 0;
    entry[2] = VECTOR;
    expect("a vector is masked at first", entry[3], 1);
    pci_write(d->slot, at, pci_read(d->slot, at) | 1u << 31);
    d->common->queue_select = 0;
    d->common->queue_msix_vector = 99;
    expect("a vector that is not there", d->common->queue_msix_vector, VIRTIO_MSI_NO_VECTOR);
    d->common->queue_msix_vector = 1;
    expect("the queue's vector", d->common->queue_msix_vector, 1);
    d->queue[0].avail.flags = 0;
    interrupts = 0;
    on_irq_device = (struct device){.irq = IRQ};
    __asm__ volatile("sti");
    disk_request(d, VIRTIO_BLK_T_IN, 0, again, SECTOR);
    expect("interrupts while masked", interrupts, 0);
    expect("pending bits while masked", *pending, 2);
    entry[3] = 0;
    while (!interrupts)
        __asm__ volatile("pause");
    expect("pending bits afterwards", *pending, 0);
    disk_request(d, VIRTIO_BLK_T_IN, 0, again, SECTOR);
    while (interrupts < 2)
        __asm__ volatile("pause");
    __asm__ volatile("cli");
    pci_write(d->slot, at, pci_read(d->slot, at) & ~(1u << 31));
    print("messages done\n");
}

/* What the test expects in the disk: each 32-bit word is its number, times a factor. */
static void fill(uint64_t sector, uint32_t factor)
{
    for (uint32_t i = 0; i < CHUNK / 4; i++)
        ((uint32_t *)buffer)[i] = ((uint32_t)(sector * (SECTOR / 4)) + i) * factor;
}

static void disk_write_all(struct device *d, uint64_t sectors, uint32_t factor)
{
    for (uint64_t sector = 0; sector < sectors; sector += CHUNK / SECTOR) {
        fill(sector, factor);
        expect("status of a write", disk_request(d, VIRTIO_BLK_T_OUT, sector, buffer, CHUNK), 0);
    }
    expect("status of a flush", disk_request(d, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), 0);
}

static void disk_read_all(struct device *d, uint64_t sectors, uint32_t factor)
{
    for (uint64_t sector = 0; sector < sectors; sector += CHUNK / SECTOR) {
        fill(sector, factor);
        expect("status of a read", disk_request(d, VIRTIO_BLK_T_IN, sector, again, CHUNK), 0);
        for (unsigned i = 0; i < CHUNK && !wrong; i++)
            expect("a byte read", again[i], buffer[i]);
    }
}

static void disk_errors(struct device *d, uint64_t sectors)
{
    expect("beyond the end", disk_request(d, VIRTIO_BLK_T_IN, sectors, again, SECTOR), 1);
    expect("across the end", disk_request(d, VIRTIO_BLK_T_IN, sectors - 1, again, 2 * SECTOR), 1);
    expect("sector -1", disk_request(d, VIRTIO_BLK_T_OUT, UINT64_MAX, again, SECTOR), 1);
    expect("half a sector", disk_request(d, VIRTIO_BLK_T_OUT, 0, again, SECTOR / 2), 1);
    expect("unknown request", disk_request(d, 77, 0, again, SECTOR), 2);
}

static void disk_interrupts(struct device *d)
{
    on_irq_device = *d;
    guest_irq = on_irq;
    (void)*d->isr;
    pic_enable((uint16_t)(1u << d->irq | 1 << 2));
    __asm__ volatile("sti");
    disk_request(d, VIRTIO_BLK_T_IN, 0, again, SECTOR);
    while (!interrupts)
        __asm__ volatile("pause");
    d->queue[0].avail.flags = VRING_AVAIL_F_NO_INTERRUPT;
    for (int i = 0; i < 3; i++)
        disk_request(d, VIRTIO_BLK_T_IN, 0, again, SECTOR);
    expect("interrupts of one wanted and three unwanted", interrupts, 1);
    __asm__ volatile("cli");
}

static void test_disk(const char *words)
{
    struct device d;
    uint32_t factor = (uint32_t)option_number(words, "write", 1);
    char id[VIRTIO_BLK_ID_BYTES + 1] = "";

    if (!device_find(&d, VIRTIO_ID_BLOCK, 0) || !device_start(&d, 1ull << VIRTIO_BLK_F_FLUSH)) {
        expect("disks", 0, 1);
        return;
    }
    uint64_t sectors = *(volatile uint32_t *)d.config;
    disk_request(&d, VIRTIO_BLK_T_GET_ID, 0, id, VIRTIO_BLK_ID_BYTES);
    print("disk of %llu sectors, %s\n", (unsigned long long)sectors, id);
    disk_interrupts(&d);
    if (option_number(words, "msi", 0))
        disk_messages(&d);
    if (d.features & 1ull << VIRTIO_BLK_F_RO)
        expect("write to read-only", disk_request(&d, VIRTIO_BLK_T_OUT, 0, buffer, SECTOR), 1);
    else
        disk_write_all(&d, sectors, factor);
    disk_read_all(&d, sectors, factor);
    fill(0, factor);
    expect("status of a read in pieces", disk_read_in_pieces(&d, 3, again), 0);
    for (unsigned i = 0; i < SECTOR; i++)
        expect("a byte read in pieces", again[i], buffer[3 * SECTOR + i]);
    disk_errors(&d, sectors);
    print("disk done\n");
    if (!option_number(words, "cut", 0))
        return;
    while (!disk_request(&d, VIRTIO_BLK_T_IN, sectors - 1, again, SECTOR))
        ;
    print("disk cut\n");
    expect("its first sector", disk_request(&d, VIRTIO_BLK_T_OUT, 0, buffer, SECTOR),
           option_number(words, "cut", 0) - 1);
}

/* A page of letters in one chain, then what is typed, up to a dot. */
static void test_console(void)
{
    struct device d;
    bool dot = false;

    if (!device_find(&d, VIRTIO_ID_CONSOLE, 0) || !device_start(&d, 0)) {
        expect("consoles", 0, 1);
        return;
    }
    for (unsigned i = 0; i < PAGE; i++)
        buffer[i] = i % 64 == 63 ? '\n' : (uint8_t)('A' + i / 64 % 26);
    queue_put(&d, 1, 0, buffer, 100, VRING_DESC_F_NEXT);
    queue_put(&d, 1, 1, buffer + 100, PAGE - 100, 0);
    queue_offer(&d, 1, 0);
    queue_wait(&d, 1);
    while (!dot) {
        queue_put(&d, 0, 0, again, PAGE, VRING_DESC_F_WRITE);
        queue_offer(&d, 0, 0);
        uint32_t n = queue_wait(&d, 0);
        queue_put(&d, 1, 0, again, n, 0);
        queue_offer(&d, 1, 0);
        queue_wait(&d, 1);
        for (uint32_t i = 0; i < n; i++)
            dot |= again[i] == '.';
    }
    print("\nconsole done\n");
}

static void test_rng(void)
{
    struct device d;
    unsigned same = 0;

    if (!device_find(&d, VIRTIO_ID_RNG, 0) || !device_start(&d, 0)) {
        expect("rngs", 0, 1);
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        queue_put(&d, 0, 0, i ? again : buffer, 600, VRING_DESC_F_WRITE);
        queue_offer(&d, 0, 0);
        expect("random bytes", queue_wait(&d, 0), 600);
    }
    for (unsigned i = 0; i < 600; i++)
        same += again[i] == buffer[i];
    print("rng done: %s\n", same < 60 ? "they differ" : "the same twice");
}

/* Gives up a range of pages in two directions and takes them again. */
static void test_balloon(uint64_t mib)
{
    struct device d;
    uint8_t *start = (uint8_t *)(8ull << 20);
    uint32_t pages = (uint32_t)(mib << 20) / PAGE, *pfn = (uint32_t *)buffer;

    if (!device_find(&d, VIRTIO_ID_BALLOON, 0) || !device_start(&d, 0)) {
        expect("balloons", 0, 1);
        return;
    }
    expect("pages asked for", *(volatile uint32_t *)d.config, pages);
    for (uint32_t i = 0; i < pages; i++)
        start[i * PAGE] = 1;
    print("balloon: touched\n");
    for (uint32_t given = 0; given < pages; given += 256) {
        for (uint32_t i = 0; i < 256; i++)
            pfn[i] = (uint32_t)((uint64_t)start / PAGE) + given + (given & 256 ? 255 - i : i);
        queue_put(&d, 0, 0, pfn, 1024, 0);
        queue_offer(&d, 0, 0);
        queue_wait(&d, 0);
    }
    *(volatile uint32_t *)(d.config + 4) = pages;
    expect("pages given up", *(volatile uint32_t *)(d.config + 4), pages);
    print("balloon: given\n");
    for (uint32_t i = 0; i < pages; i += 64)
        expect("a byte of a page that was given up", start[i * PAGE], 0);
    expect("the byte behind", buffer[0], (uint8_t)pfn[0]);
    print("balloon done\n");
}

/* Configuration space: the bridge, what is absent, and a base address register's size. */
static void test_bus(void)
{
    expect("host bridge", pci_read(0, 8) >> 8, 0x060000);
    expect("an absent slot", pci_read(31, 0), UINT32_MAX);
    expect("an absent function", pci_read(1, 1u << 8), UINT32_MAX);
    uint32_t bar = pci_read(1, 0x10);
    pci_write(1, 0x10, UINT32_MAX);
    uint32_t size = ~pci_read(1, 0x10) + 1;
    pci_write(1, 0x10, bar);
    expect("size of BAR 0 is a power of 2", size & (size - 1), 0);
    expect("BAR 0 again", pci_read(1, 0x10), bar);
    pci_write(1, 0, 0);
    expect("the vendor after a write", pci_read(1, 0) & 0xffff, 0x1af4);
    expect("interrupt pin", pci_read(1, 0x3c) >> 8 & 0xff, 1);
}

int guest_main(const char *words)
{
    uint64_t mib = option_number(words, "balloon", 0);

    test_bus();
    if (option_number(words, "disk", 0))
        test_disk(words);
    if (option_number(words, "console", 0))
        test_console();
    if (option_number(words, "rng", 0))
        test_rng();
    if (mib)
        test_balloon(mib);
    print("virtio: %d wrong\n", wrong);
    while (option_number(words, "spin", 0))
        __asm__ volatile("pause");
    return wrong != 0;
}
