#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A machine's state on its way to a file or to another monitor: a header, then records, each with
 * its own CRC-32, then a record that says how many there were. Numbers are little endian.
 *
 * A writer must not end a running machine: its functions return false, and the stream keeps the
 * reason. A reader has nothing to lose: it ends the program with a line that names the stream, the
 * field and its value.
 */

#define STREAM_MAGIC "VIVMSNAP"

enum { STREAM_VERSION = 2, STREAM_NAME = 32, RECORD_MAX = 64 * 1024 };

/* Of a slow link: bytes for each dot, and bytes under way at most, which a terminal surely holds.
 */
enum { STREAM_DOT = 1024, STREAM_WINDOW = 3 * STREAM_DOT };

enum stream_content { CONTENT_MEMORY = 1, CONTENT_STATE = 2, CONTENT_MIGRATION = 3 };

struct stream_header {
    char magic[8];
    uint32_t version, content;
    uint64_t id; /* the same in all files of one snapshot */
    uint64_t ram_size;
    uint32_t vcpus, tsc_khz;
    char vendor[12];    /* of the processor: CPUID leaf 0 */
    uint32_t signature; /* CPUID leaf 1, EAX */
    char name[STREAM_NAME];
    uint32_t reserved, crc; /* of all before it */
};

enum record_kind {
    RECORD_PAGES = 1,   /* where: guest-physical address */
    RECORD_ZEROS = 2,   /* the same; the data are the length, 64 bits */
    RECORD_SECTION = 3, /* where: see state.c */
    RECORD_END = 4,     /* where: records before it */
    RECORD_GO = 5,      /* migration: the receiver's machine starts */
};

struct record {
    uint32_t kind, size;
    uint64_t where;
    uint32_t
        raw; /* the data are packed (RFC 1950) and were so many bytes before; 0: they are not */
    uint32_t crc; /* of what is before it and of the data */
};

struct stream {
    int fd, back_fd; /* back_fd: where the reader answers, -1: it does not */
    bool slow; /* the link: data are packed, and the reader acknowledges what it took by dots */
    unsigned under_way; /* bytes that were not acknowledged */
    unsigned found;     /* of the header, bytes that are read already: all or none of its magic */
    const char *name;
    uint64_t records, bytes;
    char error[256];
    struct record record; /* of stream_get */
    uint8_t data[RECORD_MAX], packed[RECORD_MAX];
};

/* Fills in magic, version, processor and checksum, and writes the header. */
bool stream_begin(struct stream *s, struct stream_header *header);
bool stream_put(struct stream *s, enum record_kind kind, uint64_t where, const void *data,
                size_t size);
bool stream_end(struct stream *s);

/* Reads and checks the header: content, and that it fits this processor. */
struct stream_header stream_open(struct stream *s, enum stream_content content);
/* Reads the next record into s->record and s->data. */
void stream_get(struct stream *s);
/* die(): "NAME: record N: " and the rest. */
void stream_bad(const struct stream *s, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
/* The CRC-32 of ISO 3309, over what went before and this. */
uint32_t stream_crc(uint32_t crc, const void *data, size_t size);
