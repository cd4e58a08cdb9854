#include "user/lib/oci/tar.h"
#include <stdlib.h>
#include <string.h>

#define BLOCK 512
#define EXTENSION_MAX 65536 // bytes of a pax header or long name

struct header { // ustar, all text
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

struct overrides { // from extension headers, for the next entry
    char name[TAR_NAME_MAX + 1], link[TAR_NAME_MAX + 1];
    int64_t size, uid, gid, mtime; // -1: none
};

// Reads exactly n bytes; 0 at a clean end, 1, or -1.
static int read_fully(struct tar *tar, void *buffer, size_t n)
{
    size_t done = 0;
    while (done < n) {
        long got = tar->read(tar->context, (char *)buffer + done, n - done);
        if (got < 0)
            return -1;
        if (!got)
            return done ? fail("the archive ends in the middle of a block") : 0;
        done += (size_t)got;
    }
    return 1;
}

long tar_data(struct tar *tar, void *buffer, size_t n)
{
    if (tar->left < (int64_t)n)
        n = (size_t)tar->left;
    if (!n)
        return 0;
    long got = tar->read(tar->context, buffer, n);
    if (!got)
        return fail("the archive ends in the middle of an entry's data");
    if (got > 0)
        tar->left -= got;
    return got;
}

static int skip_rest(struct tar *tar)
{
    char buffer[4096];
    tar->left += tar->padding;
    tar->padding = 0;
    while (tar->left)
        if (tar_data(tar, buffer, sizeof buffer) < 0)
            return -1;
    return 0;
}

// Octal text, or GNU's base 256 (high bit set); -1 if it is neither or negative or huge.
static int64_t number(const char *field, size_t size)
{
    int64_t value = 0;
    if ((unsigned char)field[0] & 0x80) {
        value = field[0] & 0x7f;
        for (size_t i = 1; i < size; i++) {
            if (value >> 54)
                return -1;
            value = value << 8 | (unsigned char)field[i];
        }
        return value;
    }
    size_t i = 0;
    while (i < size && field[i] == ' ')
        i++;
    for (; i < size && field[i] && field[i] != ' '; i++) {
        if (field[i] < '0' || field[i] > '7')
            return -1;
        value = value * 8 + (field[i] - '0');
    }
    return value;
}

static bool checksum_holds(const struct header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    int64_t sum = 8 * ' ';
    for (size_t i = 0; i < BLOCK; i++)
        if (i < offsetof(struct header, checksum) || i >= offsetof(struct header, type))
            sum += bytes[i];
    return sum == number(header->checksum, sizeof header->checksum);
}

// The data of an extension header as text.
static char *read_extension(struct tar *tar, size_t *length)
{
    if (tar->left > EXTENSION_MAX) {
        fail("an extension header of %lld bytes", (long long)tar->left);
        return NULL;
    }
    *length = (size_t)tar->left;
    char *text = alloc(*length + 1);
    size_t done = 0;
    while (done < *length) {
        long got = tar_data(tar, text + done, *length - done);
        if (got < 0)
            return NULL;
        done += (size_t)got;
    }
    return text;
}

static int set_name(char *field, const char *text, size_t length)
{
    if (length > TAR_NAME_MAX)
        return fail("a name of %zu bytes", length);
    if (memchr(text, '\0', length))
        return fail("a name with a NUL in it");
    memcpy(field, text, length);
    field[length] = '\0';
    return 0;
}

static int set_number(int64_t *field, const char *text)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || (*end && *end != '.') || value < 0 || value > INT64_MAX / 2)
        return fail("a pax header with a bad number \"%.40s\"", text);
    *field = value;
    return 0;
}

static int apply_record(struct overrides *over, const char *key, const char *value, size_t length)
{
    if (strcmp(key, "path") == 0)
        return set_name(over->name, value, length);
    if (strcmp(key, "linkpath") == 0)
        return set_name(over->link, value, length);
    if (strcmp(key, "size") == 0)
        return set_number(&over->size, value);
    if (strcmp(key, "uid") == 0)
        return set_number(&over->uid, value);
    if (strcmp(key, "gid") == 0)
        return set_number(&over->gid, value);
    if (strcmp(key, "mtime") == 0 && *value != '-')
        return set_number(&over->mtime, value);
    return 0;
}

// Records of the form "LENGTH KEY=VALUE\n", LENGTH counting all of it.
static int apply_pax(struct overrides *over, char *text, size_t length)
{
    while (length) {
        char *end;
        unsigned long size = strtoul(text, &end, 10);
        if (end == text || *end != ' ' || size > length || text + size < end + 3 ||
            text[size - 1] != '\n')
            return fail("a malformed pax header");
        text[size - 1] = '\0';
        char *key = end + 1, *equals = strchr(key, '=');
        if (!equals)
            return fail("a malformed pax header");
        *equals = '\0';
        if (apply_record(over, key, equals + 1, (size_t)(text + size - 1 - (equals + 1))))
            return -1;
        text += size;
        length -= size;
    }
    return 0;
}

static int apply_extension(struct tar *tar, char type, struct overrides *over)
{
    size_t length;
    char *text = read_extension(tar, &length);
    if (!text)
        return -1;
    switch (type) {
    case 'x':
        return apply_pax(over, text, length);
    case 'L':
        return set_name(over->name, text, strlen(text));
    case 'K':
        return set_name(over->link, text, strlen(text));
    }
    return 0; // 'g': nothing in global headers matters here
}

static int type_of(char type, const char *name)
{
    static const char types[] = "0123456";
    static const enum tar_type values[] = {TAR_FILE,  TAR_HARD_LINK, TAR_SYMLINK, TAR_CHAR,
                                           TAR_BLOCK, TAR_DIR,       TAR_FIFO};
    if (type == '\0' || type == '7')
        type = '0';
    const char *found = strchr(types, type);
    if (!found)
        return fail("\"%s\": an entry of unknown type '%c'", name, type < ' ' ? '?' : type);
    size_t length = strlen(name);
    if (type == '0' && length && name[length - 1] == '/')
        return TAR_DIR; // as before POSIX
    return values[found - types];
}

static void fill_names(const struct header *header, const struct overrides *over,
                       struct tar_entry *entry)
{
    size_t prefix = memcmp(header->magic, "ustar\0", 6) == 0
                        ? strnlen(header->prefix, sizeof header->prefix)
                        : 0;
    size_t name = strnlen(header->name, sizeof header->name);
    size_t link = strnlen(header->link, sizeof header->link);
    memset(entry, 0, sizeof *entry);
    if (prefix) {
        memcpy(entry->name, header->prefix, prefix);
        entry->name[prefix++] = '/';
    }
    memcpy(entry->name + prefix, header->name, name);
    memcpy(entry->link, header->link, link);
    if (over->name[0])
        strcpy(entry->name, over->name);
    if (over->link[0])
        strcpy(entry->link, over->link);
}

static int fill_entry(struct tar *tar, const struct header *header, const struct overrides *over,
                      struct tar_entry *entry)
{
    fill_names(header, over, entry);
    int type = type_of(header->type, entry->name);
    if (type < 0)
        return -1;
    entry->type = (enum tar_type)type;
    int64_t mode = number(header->mode, sizeof header->mode);
    int64_t uid = over->uid >= 0 ? over->uid : number(header->uid, sizeof header->uid);
    int64_t gid = over->gid >= 0 ? over->gid : number(header->gid, sizeof header->gid);
    int64_t major = number(header->major, sizeof header->major);
    int64_t minor = number(header->minor, sizeof header->minor);
    entry->mtime = over->mtime >= 0 ? over->mtime : number(header->mtime, sizeof header->mtime);
    if (mode < 0 || uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX || major < 0 ||
        minor < 0 || entry->mtime < 0)
        return fail("\"%s\": a header with a bad number", entry->name);
    entry->mode = mode & 07777;
    entry->uid = (uint32_t)uid;
    entry->gid = (uint32_t)gid;
    entry->major = (uint32_t)major;
    entry->minor = (uint32_t)minor;
    entry->size = type == TAR_FILE ? tar->left : 0;
    return 1;
}

int tar_next(struct tar *tar, struct tar_entry *entry)
{
    static const char zeros[BLOCK];
    struct overrides over = {.size = -1, .uid = -1, .gid = -1, .mtime = -1};
    struct header header;
    for (;;) {
        if (skip_rest(tar))
            return -1;
        int got = read_fully(tar, &header, sizeof header);
        if (got < 0)
            return -1;
        if (!got)
            return fail("the archive has no end");
        if (memcmp(&header, zeros, BLOCK) == 0)
            return 0;
        if (!checksum_holds(&header))
            return fail("a header with a wrong checksum");
        bool extension = strchr("xgLK", header.type) && header.type;
        int64_t size = number(header.size, sizeof header.size);
        if (!extension && over.size >= 0)
            size = over.size;
        if (size < 0 || size > INT64_MAX / 2)
            return fail("a header with a bad size");
        if (header.type >= '1' && header.type <= '6')
            size = 0; // links, devices and directories have no data, whatever the field says
        tar->left = size;
        tar->padding = -size & (BLOCK - 1);
        if (!extension)
            return fill_entry(tar, &header, &over, entry);
        if (apply_extension(tar, header.type, &over))
            return -1;
    }
}
