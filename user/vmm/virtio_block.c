/* The disk: a raw image in a file (virtio 1.2, 5.2). What a write says is done is in the file, so
 * the end of the monitor loses nothing of it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/vmm/say.h"
#include "user/vmm/virtio.h"

enum { SECTOR = 512, SEGMENTS = QUEUE_SIZE - 2, SEGMENT_BYTES = 65536 };

void virtio_block_open(struct virtio *d, char *text)
{
    struct virtio_blk_config *config = (void *)d->state.config;
    char *comma = strrchr(text, ',');
    struct stat st;

    bool read_only = comma && !strcmp(comma, ",ro");
    if (read_only) {
        *comma = 0;
        d->features |= 1 << VIRTIO_BLK_F_RO;
    }
    d->file = realpath(text, NULL); /* it may be looked for from another directory later */
    d->fd = open(text, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (!d->file || d->fd < 0 || fstat(d->fd, &st) < 0)
        die_errno("--disk %s", text);
    if (!S_ISREG(st.st_mode))
        die(STATUS_USAGE, "--disk %s: not a regular file", text);
    if (!st.st_size || st.st_size % SECTOR)
        die(STATUS_USAGE, "--disk %s: %lld bytes are not a number of sectors of %d", text,
            (long long)st.st_size, SECTOR);
    config->capacity = (uint64_t)st.st_size / SECTOR;
    config->size_max = SEGMENT_BYTES;
    config->seg_max = SEGMENTS;
}

/* Whether the file still has the bytes: it may have been cut or removed. */
static bool is_there(const struct virtio *d, uint64_t offset, uint64_t size)
{
    struct stat st;

    return fstat(d->fd, &st) == 0 && st.st_nlink && st.st_size >= 0 &&
           offset + size <= (uint64_t)st.st_size;
}

/* Moves size bytes between the file and the chain, from first on in its bytes. */
static uint8_t transfer(struct virtio *d, const struct chain *c, bool in, uint64_t sector,
                        uint32_t first, uint32_t size)
{
    uint64_t capacity = ((struct virtio_blk_config *)d->state.config)->capacity;
    uint32_t done = 0;

    if (size % SECTOR || sector > capacity || size / SECTOR > capacity - sector ||
        (!in && d->features & 1 << VIRTIO_BLK_F_RO) || !is_there(d, sector * SECTOR, size))
        return VIRTIO_BLK_S_IOERR;
    while (done < size) {
        struct span s = chain_at(c, in, first + done);
        size_t want = s.size < size - done ? s.size : size - done;
        off_t at = (off_t)(sector * SECTOR + done);
        ssize_t n = in ? pread(d->fd, s.data, want, at) : pwrite(d->fd, s.data, want, at);
        if (!n || (n < 0 && errno != EINTR))
            return VIRTIO_BLK_S_IOERR;
        done += n > 0 ? (uint32_t)n : 0;
    }
    return VIRTIO_BLK_S_OK;
}

static uint8_t flush(struct virtio *d)
{
    return is_there(d, 0, 0) && fsync(d->fd) == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

/* The name of the disk for the guest: the last letters of its file's. */
static uint8_t identify(const struct virtio *d, const struct chain *c)
{
    char id[VIRTIO_BLK_ID_BYTES] = "";
    size_t length = strlen(d->file), n = length < sizeof(id) ? length : sizeof(id);

    memcpy(id, d->file + length - n, n);
    chain_write(c, 0, id, sizeof(id));
    return VIRTIO_BLK_S_OK;
}

static const char *serve(struct virtio *d, unsigned q, const struct chain *c, uint32_t *written)
{
    struct virtio_blk_outhdr header;
    uint8_t status = VIRTIO_BLK_S_UNSUPP;

    if (chain_read(c, 0, &header, sizeof(header)) < sizeof(header))
        return "a request without its header";
    if (!c->writable_bytes)
        return "a request without room for its status";
    uint32_t in = c->writable_bytes - 1, out = c->readable_bytes - sizeof(header);
    if (header.type == VIRTIO_BLK_T_IN)
        status = transfer(d, c, true, header.sector, 0, in);
    else if (header.type == VIRTIO_BLK_T_OUT)
        status = transfer(d, c, false, header.sector, sizeof(header), out);
    else if (header.type == VIRTIO_BLK_T_FLUSH)
        status = flush(d);
    else if (header.type == VIRTIO_BLK_T_GET_ID && in >= VIRTIO_BLK_ID_BYTES)
        status = identify(d, c);
    chain_write(c, in, &status, 1);
    *written = header.type == VIRTIO_BLK_T_OUT || status ? 1 : c->writable_bytes;
    return NULL;
}

const struct virtio_type virtio_block = {
    .name = "block",
    .id = VIRTIO_ID_BLOCK,
    .class = 0x018000,
    .features = 1 << VIRTIO_BLK_F_SIZE_MAX | 1 << VIRTIO_BLK_F_SEG_MAX | 1 << VIRTIO_BLK_F_FLUSH,
    .queues = 1,
    .config_size = offsetof(struct virtio_blk_config, geometry),
    .serve = serve,
};
