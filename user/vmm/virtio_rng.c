/* The source of entropy (virtio 1.2, 5.4): the host's. */
#include <sys/random.h>

#include "user/vmm/virtio.h"

/* At most so many bytes a request: the rest of a large one is not filled, as the device may. */
enum { LIMIT = 65536 };

static const char *serve(struct virtio *d, unsigned q, const struct chain *c, uint32_t *written)
{
    if (!c->writable_bytes)
        return "a request without room";
    while (*written < c->writable_bytes && *written < LIMIT) {
        struct span s = chain_at(c, true, *written);
        ssize_t n = getrandom(s.data, s.size < 256 ? s.size : 256, 0);
        if (n <= 0)
            break;
        *written += (uint32_t)n;
    }
    return NULL;
}

const struct virtio_type virtio_rng = {
    .name = "rng",
    .id = VIRTIO_ID_RNG,
    .class = 0x00ff00,
    .queues = 1,
    .serve = serve,
};
