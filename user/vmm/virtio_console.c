/* The console: standard input and output (virtio 1.2, 5.3), a line or a page a notice, where a
 * serial port has an exit for each letter. */
#include <linux/virtio_console.h>
#include <unistd.h>

#include "user/vmm/console.h"
#include "user/vmm/virtio.h"

enum { QUEUE_INPUT, QUEUE_OUTPUT };
enum { MAX_OUTPUT = 1 << 20 };

void virtio_console_feed(struct virtio *d)
{
    struct chain c;
    uint8_t typed[256];

    while (console_ready() && virtio_take(d, QUEUE_INPUT, &c)) {
        uint32_t room = c.writable_bytes < sizeof(typed) ? c.writable_bytes : sizeof(typed);
        size_t n = console_take(typed, room);
        virtio_give(d, QUEUE_INPUT, &c, chain_write(&c, 0, typed, (uint32_t)n));
    }
}

static const char *serve(struct virtio *d, unsigned q, const struct chain *c, uint32_t *written)
{
    if (c->readable_bytes > MAX_OUTPUT)
        return "too many letters at once";
    for (unsigned i = 0; i < c->readable; i++)
        console_write(STDOUT_FILENO, c->span[i].data, c->span[i].size);
    return NULL;
}

const struct virtio_type virtio_console = {
    .name = "console",
    .id = VIRTIO_ID_CONSOLE,
    .class = 0x078000,
    .queues = 2,
    .waiting = 1 << QUEUE_INPUT,
    .serve = serve,
};
