// with: kernel/lib/cpio.c
// newc archives: what is whole is read, what is not is named.
#include <stdlib.h>
#include <string.h>
#include "tests/unit/expect.h"
#include "kernel/lib/cpio.h"

static char archive[4096];
static size_t used;

static void pad(void)
{
    while (used % 4)
        archive[used++] = 0;
}

static void add(const char *name, unsigned mode, const char *data)
{
    used += sprintf(archive + used, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
                    7u, mode, 1u, 2u, 1u, 99u, (unsigned)strlen(data), 0u, 0u, 4u, 64u,
                    (unsigned)strlen(name) + 1, 0u);
    strcpy(archive + used, name);
    used += strlen(name) + 1;
    pad();
    memcpy(archive + used, data, strlen(data));
    used += strlen(data);
    pad();
}

static void make(void)
{
    memset(archive, 0, sizeof(archive));
    used = 0;
    add("etc", 040755, "");
    add("etc/motd", 0100644, "hello");
    add("TRAILER!!!", 0, "");
}

// The archive as a copy of its own size, so that the sanitizer sees every byte too many.
static int count(size_t size, size_t *offset, const char **field)
{
    char *copy = malloc(size ? size : 1);
    struct cpio_entry e;
    int n = 0, more;

    memcpy(copy, archive, size);
    *offset = 0;
    while ((more = cpio_next(copy, size, offset, &e, field)) > 0)
        n++;
    free(copy);
    return more < 0 ? -n - 1 : n;
}

static void entries_come_with_all_fields(void)
{
    struct cpio_entry e;
    const char *field;
    size_t offset = 0;

    make();
    expect(cpio_next(archive, used, &offset, &e, &field), 1);
    expect(strcmp(e.name, "etc"), 0);
    expect(e.mode, 040755);
    expect(e.size, 0);
    expect(cpio_next(archive, used, &offset, &e, &field), 1);
    expect(strcmp(e.name, "etc/motd"), 0);
    expect(e.size, 5);
    expect(memcmp(e.data, "hello", 5), 0);
    expect(e.ino, 7);
    expect(e.uid, 1);
    expect(e.gid, 2);
    expect(e.mtime, 99);
    expect(e.rdev_major, 4);
    expect(e.rdev_minor, 64);
    expect(cpio_next(archive, used, &offset, &e, &field), 0);
}

static void archives_follow_each_other_after_zeros(void)
{
    const char *field;
    size_t offset;

    make();
    used += 512 - used % 512;
    add("more", 0100644, "x");
    add("TRAILER!!!", 0, "");
    used += 100;
    expect(count(used, &offset, &field), 3);
}

static void every_truncation_is_named_and_reads_nothing_behind(void)
{
    const char *field;
    size_t offset, whole;

    make();
    whole = used - 3; // the trailer's padding may be missing
    for (size_t size = 0; size < whole; size++) {
        field = NULL;
        expect(count(size, &offset, &field) < 0, 1);
        expect(field != NULL, 1);
        expect(offset <= size, 1);
    }
    expect(count(whole, &offset, &field), 2);
}

static void bad_fields_are_named(void)
{
    static const struct {
        size_t at;
        char c;
        const char *field;
    } cases[] = {
        {0, 'x', "c_magic"},
        {6 + 8, 'g', "c_mode"},
        {6 + 6 * 8, '7', "c_filesize"},
        {6 + 11 * 8, '7', "c_namesize"},
        {6 + 11 * 8 + 7, '0', "c_namesize"},
    };

    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        const char *field = "";
        size_t offset;
        make();
        archive[cases[n].at] = cases[n].c;
        expect(count(used, &offset, &field), -1);
        expect(strcmp(field, cases[n].field), 0);
        expect(offset, 0);
    }
}

int main(void)
{
    entries_come_with_all_fields();
    archives_follow_each_other_after_zeros();
    every_truncation_is_named_and_reads_nothing_behind();
    bad_fields_are_named();
    return failures != 0;
}
