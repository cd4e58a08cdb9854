// with: user/vmm/virtio.c user/vmm/virtqueue.c user/vmm/pci.c
// The monitor's virtio transport over rings of random bytes: nothing outside the guest's memory is
// touched, which the sanitizer sees, and each run ends. Then what a saved state may hold.
#include "user/vmm/virtio.h"

#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 2 << 20, COMMAND = 4, BAR = 0xe0000000 };
enum { DESC = 0x1000, AVAIL = 0x2000, USED = 0x3000, ROUNDS = 60000 };

static int failures;
static uint64_t served, bytes;
static uint32_t seed;

#define TRUE(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            failures++;                                                                            \
            printf("line %d, seed %u: expected %s\n", __LINE__, seed, #condition);                 \
        }                                                                                          \
    } while (0)

void say(const char *format, ...)
{
}

static uint32_t next_random(void)
{
    static uint64_t state = 1;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

/* Reads all that it may read and writes all that it may write. */
static const char *serve(struct virtio *d, unsigned q, const struct chain *c, uint32_t *written)
{
    for (unsigned i = 0; i < c->readable; i++)
        for (uint32_t n = 0; n < c->span[i].size; n += 509)
            bytes += c->span[i].data[n];
    for (; *written < c->writable_bytes; *written += chain_at(c, true, *written).size) {
        struct span s = chain_at(c, true, *written);
        s.data[0] = s.data[s.size - 1] = (uint8_t)next_random();
    }
    served++;
    return NULL;
}

static const struct virtio_type type = {
    .name = "test", .id = 4, .queues = 2, .config_size = 8, .serve = serve};

static void set(struct virtio *d, unsigned at, unsigned size, uint64_t value)
{
    virtio_mmio(d, BAR + at, true, (uint8_t *)&value, size);
}

static void start(struct virtio *d, struct guest_memory guest)
{
    uint8_t on[2] = {6, 0};

    virtio_init(d, &type, guest, BAR, 5, -1);
    virtio_config_access(d, COMMAND, true, on, sizeof(on));
    set(d, 20, 1, 3);
    set(d, 8, 4, 1);
    set(d, 12, 4, 1);
    set(d, 20, 1, 11);
    set(d, 24, 2, 16);
    set(d, 32, 8, DESC);
    set(d, 40, 8, AVAIL);
    set(d, 48, 8, USED);
    set(d, 28, 2, 1);
    set(d, 20, 1, 15);
}

/* A descriptor that is wrong in one way or another, or not at all. */
static struct vring_desc some_descriptor(void)
{
    static const uint64_t places[] = {DESC, 0x10000, 0x9ff00, 0xa0000, 0xbfff0, SIZE - 64, SIZE};
    uint32_t r = next_random();
    struct vring_desc d = {
        .addr = places[r % 7] + (r >> 8 & 63),
        .len = r & 0x10000 ? r >> 20 & 255 : r >> 17,
        .flags = (uint16_t)(r >> 5 & 7),
        .next = (uint16_t)(next_random() % 18),
    };
    if (!(next_random() & 63))
        d.addr = (uint64_t)next_random() << 33 | next_random();
    return d;
}

static void random_rings(struct virtio *d, struct guest_memory guest)
{
    struct vring_desc *desc = (void *)(guest.ram + DESC);
    uint16_t *avail = (void *)(guest.ram + AVAIL);

    for (seed = 0; seed < ROUNDS; seed++) {
        start(d, guest);
        for (unsigned i = 0; i < 64; i++)
            desc[i] = some_descriptor();
        for (unsigned i = 0; i < 16; i++)
            avail[2 + i] = (uint16_t)(next_random() % 17);
        avail[1] = (uint16_t)(next_random() % 18);
        if (!(next_random() & 15))
            set(d, 32 + (next_random() & 0x18), 8, SIZE - next_random() % 300);
        set(d, 0x3000, 2, 0);
        virtio_go_on(d);
        for (unsigned i = 0; i < 20; i++)
            set(d, next_random() & 0x7fff, 1u << (next_random() & 3), next_random());
    }
    printf("%llu chains of %d rounds were right\n", (unsigned long long)served, ROUNDS);
    TRUE(served > ROUNDS / 20);
}

static void saved_states(struct virtio *d, struct guest_memory guest)
{
    struct virtio_state good, bad;

    start(d, guest);
    virtio_save(d, &good);
    virtio_init(d, &type, guest, BAR, 5, -1);
    TRUE(!virtio_load(d, &good));
    TRUE(d->state.status == 15 && d->state.queue[0].used == USED);
    bad = good;
    bad.pci.config[0] ^= 1;
    TRUE(!strcmp(virtio_load(d, &bad), "pci.config"));
    bad = good;
    bad.pci.writable[0] = 1;
    TRUE(!strcmp(virtio_load(d, &bad), "pci.writable"));
    bad = good;
    bad.driver_features |= 1ull << 63;
    TRUE(!strcmp(virtio_load(d, &bad), "driver_features"));
    bad = good;
    bad.queue[1].size = 3;
    TRUE(!strcmp(virtio_load(d, &bad), "queue.size"));
    bad = good;
    bad.config[0] ^= 1;
    TRUE(!strcmp(virtio_load(d, &bad), "config"));
    TRUE(!memcmp(&d->state, &good, sizeof(good)));
}

int main(void)
{
    static struct virtio d;
    struct guest_memory guest = {calloc(1, SIZE), SIZE};

    saved_states(&d, guest);
    random_rings(&d, guest);
    free(guest.ram);
    return failures != 0;
}
