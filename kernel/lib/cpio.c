#include "kernel/lib/cpio.h"
#include <linux/errno.h>
#include "kernel/lib/string.h"

#define HEADER_SIZE 110
#define TRAILER "TRAILER!!!"

static const char *const fields[] = {
    "c_ino",      "c_mode",     "c_uid",       "c_gid",       "c_nlink",    "c_mtime", "c_filesize",
    "c_devmajor", "c_devminor", "c_rdevmajor", "c_rdevminor", "c_namesize", "c_check",
};
enum {
    INO,
    MODE,
    UID,
    GID,
    NLINK,
    MTIME,
    FILESIZE,
    DEVMAJOR,
    DEVMINOR,
    RDEVMAJOR,
    RDEVMINOR,
    NAMESIZE,
    CHECK,
    FIELDS
};

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The 13 numbers of 8 hexadecimal digits after the magic.
static int parse_header(const char *h, u32 *value, const char **field)
{
    if (memcmp(h, "070701", 6) != 0 && memcmp(h, "070702", 6) != 0) {
        *field = "c_magic";
        return -EINVAL;
    }
    h += 6;
    for (int n = 0; n < FIELDS; n++) {
        value[n] = 0;
        for (int digit = 0; digit < 8; digit++, h++) {
            if (hex(*h) < 0) {
                *field = fields[n];
                return -EINVAL;
            }
            value[n] = value[n] << 4 | hex(*h);
        }
    }
    return 0;
}

static void fill(struct cpio_entry *e, const u32 *value, const char *name, const u8 *data)
{
    *e = (struct cpio_entry){
        .name = name,
        .data = data,
        .size = value[FILESIZE],
        .ino = value[INO],
        .mode = value[MODE],
        .uid = value[UID],
        .gid = value[GID],
        .nlink = value[NLINK],
        .mtime = value[MTIME],
        .dev_major = value[DEVMAJOR],
        .dev_minor = value[DEVMINOR],
        .rdev_major = value[RDEVMAJOR],
        .rdev_minor = value[RDEVMINOR],
    };
}

// One entry, the trailer too. 0 and the offset behind it in *next, or -EINVAL.
static int one(const char *data, size_t size, size_t offset, struct cpio_entry *e, size_t *next,
               const char **field)
{
    u32 value[FIELDS];

    *field = "header (truncated)";
    if (size - offset < HEADER_SIZE)
        return -EINVAL;
    int err = parse_header(data + offset, value, field);
    if (err)
        return err;
    size_t name = offset + HEADER_SIZE;
    *field = fields[NAMESIZE];
    if (!value[NAMESIZE] || value[NAMESIZE] > size - name ||
        memchr(data + name, 0, value[NAMESIZE]) != data + name + value[NAMESIZE] - 1)
        return -EINVAL;
    size_t body = ALIGN_UP(name + value[NAMESIZE], 4UL);
    *field = fields[FILESIZE];
    if (value[FILESIZE] && (body > size || value[FILESIZE] > size - body))
        return -EINVAL;
    fill(e, value, data + name, (const u8 *)data + body);
    *next = ALIGN_UP(body + value[FILESIZE], 4UL);
    if (*next > size)
        *next = size; // the last padding may be missing
    return 0;
}

// Another archive may follow the trailer, after zeros.
static size_t skip_zeros(const char *data, size_t size, size_t offset)
{
    while (offset < size && !data[offset])
        offset++;
    return offset;
}

int cpio_next(const void *data, size_t size, size_t *offset, struct cpio_entry *e,
              const char **field)
{
    size_t next;

    for (;;) {
        if (*offset >= size) {
            *field = TRAILER " (missing)";
            return -EINVAL;
        }
        int err = one(data, size, *offset, e, &next, field);
        if (err)
            return err;
        if (strcmp(e->name, TRAILER) != 0) {
            *offset = next;
            return 1;
        }
        *offset = skip_zeros(data, size, next);
        if (*offset == size)
            return 0;
    }
}
