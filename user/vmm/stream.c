/* Headers and records with checksums. */
#include "user/vmm/stream.h"

#include <assert.h>
#include <cpuid.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "user/vmm/say.h"

enum { SILENCE_MS = 30000 };

static_assert(sizeof(struct stream_header) == 96, "the format of version 2");
static_assert(sizeof(struct record) == 24, "the format of version 2");

uint32_t stream_crc(uint32_t crc, const void *data, size_t size)
{
    return (uint32_t)crc32(crc, data, (uInt)size);
}

static void identify_processor(struct stream_header *h)
{
    unsigned a, b, c, d;

    __cpuid(0, a, b, c, d);
    memcpy(h->vendor, &b, 4);
    memcpy(h->vendor + 4, &d, 4);
    memcpy(h->vendor + 8, &c, 4);
    __cpuid(1, h->signature, b, c, d);
}

/* Waits for the reader to have taken what is under way. */
static bool wait_for_window(struct stream *s)
{
    struct pollfd p = {.fd = s->back_fd, .events = POLLIN};
    char dot;

    if (!s->slow || s->under_way < STREAM_WINDOW)
        return true;
    s->under_way -= STREAM_DOT;
    return poll(&p, 1, SILENCE_MS) > 0 && read(s->back_fd, &dot, 1) == 1 && dot == '.';
}

/* How many of size bytes may go at once where at most `most` may be under way. */
static size_t part(const struct stream *s, size_t size, unsigned most)
{
    size_t room = most - s->under_way;

    return s->slow && size > room ? room : size;
}

static bool put(struct stream *s, const void *data, size_t size)
{
    const uint8_t *from = data;

    while (size) {
        if (!wait_for_window(s)) {
            snprintf(s->error, sizeof(s->error), "%s: the reader does not acknowledge", s->name);
            return false;
        }
        ssize_t n = write(s->fd, from, part(s, size, STREAM_WINDOW));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            snprintf(s->error, sizeof(s->error), "%s: %s", s->name, strerror(errno));
            return false;
        }
        from += n;
        size -= (size_t)n;
        s->bytes += (uint64_t)n;
        s->under_way += (unsigned)n;
    }
    return true;
}

bool stream_begin(struct stream *s, struct stream_header *h)
{
    memcpy(h->magic, STREAM_MAGIC, sizeof(h->magic));
    h->version = STREAM_VERSION;
    identify_processor(h);
    h->crc = stream_crc(0, h, offsetof(struct stream_header, crc));
    return put(s, h, sizeof(*h));
}

bool stream_put(struct stream *s, enum record_kind kind, uint64_t where, const void *data,
                size_t size)
{
    struct record r = {.kind = kind, .size = (uint32_t)size, .where = where};
    uLongf packed = size;

    if (s->slow && size && compress2(s->packed, &packed, data, size, 1) == Z_OK && packed < size) {
        r.raw = r.size;
        r.size = (uint32_t)packed;
        data = s->packed;
        size = packed;
    }
    r.crc = stream_crc(stream_crc(0, &r, offsetof(struct record, crc)), data, size);
    s->records++;
    return put(s, &r, sizeof(r)) && put(s, data, size);
}

bool stream_end(struct stream *s)
{
    return stream_put(s, RECORD_END, s->records, "", 0);
}

void stream_bad(const struct stream *s, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    die(STATUS_USAGE, "%s: record %llu at 0x%llx: %s", s->name, (unsigned long long)s->records,
        (unsigned long long)s->bytes, text);
}

/* Reads all of it; returns how much there was. */
static size_t get(struct stream *s, void *data, size_t size)
{
    size_t done = 0;

    while (done < size) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        if (s->slow && poll(&p, 1, SILENCE_MS) == 0)
            break; /* a line has no end that shows */
        ssize_t n = read(s->fd, (uint8_t *)data + done, part(s, size - done, STREAM_DOT));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            die_errno("%s", s->name);
        if (n == 0)
            break;
        done += (size_t)n;
        s->under_way += (unsigned)n;
        if (s->slow && s->under_way == STREAM_DOT) {
            s->under_way = 0;
            if (write(s->back_fd, ".", 1) != 1)
                die_errno("%s", s->name);
        }
    }
    s->bytes += done;
    return done;
}

struct stream_header stream_open(struct stream *s, enum stream_content content)
{
    struct stream_header h = {.crc = 0}, here = {.crc = 0};
    size_t n = s->found;

    memcpy(h.magic, STREAM_MAGIC, n);
    n += get(s, (uint8_t *)&h + n, sizeof(h) - n);
    if (n < sizeof(h.magic) || memcmp(h.magic, STREAM_MAGIC, sizeof(h.magic)))
        die(STATUS_USAGE, "%s: header: magic: no snapshot of vmm", s->name);
    if (n < sizeof(h))
        die(STATUS_USAGE, "%s: header: truncated: %zu of %zu bytes", s->name, n, sizeof(h));
    if (h.version != STREAM_VERSION)
        die(STATUS_USAGE, "%s: header: version %u, not %u", s->name, h.version, STREAM_VERSION);
    uint32_t crc = stream_crc(0, &h, offsetof(struct stream_header, crc));
    if (h.crc != crc)
        die(STATUS_USAGE, "%s: header: crc 0x%08x, not 0x%08x", s->name, h.crc, crc);
    if (h.content != (uint32_t)content)
        die(STATUS_USAGE, "%s: header: content %u, not %u", s->name, h.content, content);
    identify_processor(&here);
    if (memcmp(h.vendor, here.vendor, sizeof(h.vendor)))
        die(STATUS_USAGE, "%s: header: vendor %.12s: this processor is of %.12s", s->name, h.vendor,
            here.vendor);
    if (h.signature != here.signature)
        die(STATUS_USAGE, "%s: header: signature 0x%x: this processor has 0x%x", s->name,
            h.signature, here.signature);
    h.name[STREAM_NAME - 1] = 0;
    return h;
}

static void unpack(struct stream *s, struct record *r)
{
    uLongf n = sizeof(s->data);

    if (uncompress(s->data, &n, s->packed, r->size) != Z_OK || n != r->raw)
        stream_bad(s, "raw %u: what is packed is not that", r->raw);
    r->size = r->raw;
}

void stream_get(struct stream *s)
{
    struct record *r = &s->record;
    size_t n = get(s, r, sizeof(*r));
    uint8_t *data = r->raw ? s->packed : s->data;

    if (n < sizeof(*r))
        stream_bad(s, "truncated: %zu of a record head's %zu bytes", n, sizeof(*r));
    if (r->size > RECORD_MAX)
        stream_bad(s, "size %u is above %u", r->size, RECORD_MAX);
    n = get(s, data, r->size);
    if (n < r->size)
        stream_bad(s, "truncated: size %u, %zu bytes are there", r->size, n);
    uint32_t crc = stream_crc(stream_crc(0, r, offsetof(struct record, crc)), data, r->size);
    if (crc != r->crc)
        stream_bad(s, "crc 0x%08x, not 0x%08x", r->crc, crc);
    if (r->raw)
        unpack(s, r);
    if (r->kind == RECORD_END && r->where != s->records)
        stream_bad(s, "end: %llu records, not %llu", (unsigned long long)s->records,
                   (unsigned long long)r->where);
    s->records++;
}
