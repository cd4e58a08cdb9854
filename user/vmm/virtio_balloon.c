/* The memory balloon (virtio 1.2, 5.5): pages that the guest gives up go back to the host, and are
 * zeros when the guest takes them again. */
#include <linux/virtio_balloon.h>
#include <sys/mman.h>

#include "user/vmm/machine.h"
#include "user/vmm/virtio.h"

enum { QUEUE_INFLATE, QUEUE_DEFLATE };
enum { PAGE = 1 << VIRTIO_BALLOON_PFN_SHIFT, MAX_PAGES = 4096 };

void virtio_balloon_target(struct virtio *d, uint32_t mib)
{
    struct virtio_balloon_config *config = (void *)d->state.config;

    config->num_pages = (uint32_t)(mib * (MIB / PAGE));
    d->state.generation++;
}

static void give_back(struct virtio *d, uint64_t start, uint64_t end)
{
    madvise(d->guest.ram + start, end - start, MADV_DONTNEED);
    guest_wrote(d->guest, d->guest.ram + start, end - start);
}

/* Neighbours go together: a guest gives up long runs, upwards or downwards. */
static const char *inflate(struct virtio *d, const struct chain *c)
{
    uint64_t start = 0, end = 0;
    uint32_t pfn;

    for (uint32_t at = 0; chain_read(c, at, &pfn, sizeof(pfn)) == sizeof(pfn); at += sizeof(pfn)) {
        uint64_t page = (uint64_t)pfn * PAGE;
        if (!guest_at(d->guest, page, PAGE))
            return "a page that is not there";
        if (page == end) {
            end += PAGE;
        } else if (page + PAGE == start) {
            start = page;
        } else {
            give_back(d, start, end);
            start = page;
            end = page + PAGE;
        }
    }
    give_back(d, start, end);
    return NULL;
}

static const char *serve(struct virtio *d, unsigned q, const struct chain *c, uint32_t *written)
{
    if (c->readable_bytes > MAX_PAGES * sizeof(uint32_t))
        return "too many pages at once";
    return q == QUEUE_INFLATE ? inflate(d, c) : NULL;
}

const struct virtio_type virtio_balloon = {
    .name = "balloon",
    .id = VIRTIO_ID_BALLOON,
    .class = 0x00ff00,
    .queues = 2,
    .config_size = offsetof(struct virtio_balloon_config, actual) + 4,
    .config_write = offsetof(struct virtio_balloon_config, actual),
    .serve = serve,
};
