// with: user/lib/oci/text.c user/lib/oci/tar.c
// Reading tar archives that are not trusted.
#include <stdlib.h>
#include "tests/unit/oci_expect.h"
#include "user/lib/oci/tar.h"

static struct buffer archive;
static size_t position, step;
static struct tar_entry entry;

// Gives at most `step` bytes at a time, as a decompressor may.
static long feed(void *context, void *buffer, size_t n)
{
    (void)context;
    size_t left = archive.length - position;
    n = n < left ? n : left;
    n = n < step ? n : step;
    if (n)
        memcpy(buffer, archive.data + position, n);
    position += n;
    return (long)n;
}

static struct tar open_archive(void)
{
    position = 0;
    step = 100;
    return (struct tar){.read = feed};
}

static char *header(const char *name, char type, long size)
{
    char block[512] = "";
    snprintf(block, 100, "%s", name);
    snprintf(block + 100, 8, "%07o", 0644);
    snprintf(block + 108, 8, "%07o", 1);
    snprintf(block + 116, 8, "%07o", 2);
    snprintf(block + 124, 12, "%011lo", size);
    snprintf(block + 136, 12, "%011o", 3);
    block[156] = type;
    memcpy(block + 257,
           "ustar\0"
           "00",
           8);
    buffer_add(&archive, block, 512);
    return archive.data + archive.length - 512;
}

static void seal(char *block)
{
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)block[i];
    snprintf(block + 148, 8, "%06o", sum);
}

static void data(const char *text, size_t length)
{
    static const char zeros[512];
    buffer_add(&archive, text, length);
    buffer_add(&archive, zeros, -length & 511);
}

static void add(const char *name, char type, const char *text)
{
    seal(header(name, type, (long)strlen(text)));
    data(text, strlen(text));
}

static void finish(void)
{
    static const char zeros[1024];
    buffer_add(&archive, zeros, sizeof zeros);
}

static void restart(void)
{
    archive = (struct buffer){0};
}

static void entries_and_data_come_in_order(void)
{
    restart();
    add("d/", '5', "");
    add("d/f", '0', "hello");
    add("skipped", '0', "not read");
    char *link = header("l", '2', 0);
    strcpy(link + 157, "target");
    seal(link);
    finish();
    struct tar tar = open_archive();
    char text[16] = "";
    expect(tar_next(&tar, &entry), 1);
    expect(entry.type, TAR_DIR);
    expect(tar_next(&tar, &entry), 1);
    expect_text(entry.name, "d/f");
    expect(entry.size, 5);
    expect(entry.mode, 0644);
    expect(entry.uid, 1);
    expect(entry.gid, 2);
    expect(entry.mtime, 3);
    expect(tar_data(&tar, text, sizeof text), 5);
    expect_text(text, "hello");
    expect(tar_data(&tar, text, sizeof text), 0);
    expect(tar_next(&tar, &entry), 1);
    expect(tar_next(&tar, &entry), 1);
    expect(entry.type, TAR_SYMLINK);
    expect_text(entry.link, "target");
    expect(tar_next(&tar, &entry), 0);
}

static void long_names_come_by_prefix_pax_and_gnu(void)
{
    restart();
    char *block = header("name", '0', 0);
    strcpy(block + 345, "some/prefix");
    seal(block);
    add("pax", 'x', "20 path=long/by/pax\n16 linkpath=to\n12 size=00\n");
    add("ignored", '1', "");
    add("././@LongLink", 'L', "long/by/gnu");
    add("ignored", '0', "");
    add("plain", '0', "");
    finish();
    struct tar tar = open_archive();
    expect(tar_next(&tar, &entry), 1);
    expect_text(entry.name, "some/prefix/name");
    expect(tar_next(&tar, &entry), -1); // "16 linkpath=to\n" is 15 bytes
    expect_text(error_text, "a malformed pax header");
    restart();
    add("pax", 'x', "20 path=long/by/pax\n15 linkpath=to\n");
    add("ignored", '1', "");
    add("././@LongLink", 'L', "long/by/gnu");
    add("ignored", '0', "");
    add("plain", '0', "");
    finish();
    tar = open_archive();
    expect(tar_next(&tar, &entry), 1);
    expect_text(entry.name, "long/by/pax");
    expect_text(entry.link, "to");
    expect(tar_next(&tar, &entry), 1);
    expect_text(entry.name, "long/by/gnu");
    expect(tar_next(&tar, &entry), 1);
    expect_text(entry.name, "plain");
    expect(tar_next(&tar, &entry), 0);
}

static const char *refusal(void)
{
    struct tar tar = open_archive();
    int got;
    error_text[0] = '\0';
    while ((got = tar_next(&tar, &entry)) > 0)
        ;
    expect(got, -1);
    return error_text;
}

static void broken_archives_are_refused(void)
{
    restart();
    expect_text(refusal(), "the archive has no end");
    add("f", '0', "data");
    expect_text(refusal(), "the archive has no end");
    archive.length -= 510;
    expect_text(refusal(), "the archive ends in the middle of an entry's data");
    archive.length = 100;
    expect_text(refusal(), "the archive ends in the middle of a block");
    restart();
    add("f", '0', "");
    archive.data[0] = 'g';
    expect_text(refusal(), "a header with a wrong checksum");
    restart();
    seal(header("huge", 'x', 1 << 20));
    expect_text(refusal(), "an extension header of 1048576 bytes");
    restart();
    add("s", 'S', "");
    expect_text(refusal(), "\"s\": an entry of unknown type 'S'");
    restart();
    char *block = header("n", '0', 0);
    memcpy(block + 124, "99999999999", 11);
    seal(block);
    expect_text(refusal(), "a header with a bad size");
    restart();
    seal(header("pax", 'x', 12));
    data("12 path=a\0b\n", 12);
    expect_text(refusal(), "a name with a NUL in it");
}

static void huge_numbers_do_not_wrap(void)
{
    restart();
    char *block = header("n", '0', 0);
    memset(block + 124, 0xff, 12);
    seal(block);
    expect_text(refusal(), "a header with a bad size");
    restart();
    add("pax", 'x', "30 size=99999999999999999999\n\n");
    add("f", '0', "");
    expect_text(refusal(), "a pax header with a bad number \"99999999999999999999\n\"");
}

static void pax_records_are_bounded(void)
{
    static const char *const bad[] = {"1 a=b\n",  "99 a=b\n", "0 a=b\n", "a=b\n",
                                      "-6 a=b\n", "6 a=b ",   "6 aab\n", "5 \n\n\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        restart();
        add("pax", 'x', bad[i]);
        add("f", '0', "");
        finish();
        expect_text(refusal(), "a malformed pax header");
    }
}

// Any bytes changed anywhere: read or refused, never overrun.
static void damaged_archives_do_no_harm(void)
{
    unsigned seed = 3;
    restart();
    add("pax", 'x', "20 path=long/by/pax\n15 linkpath=to\n");
    add("f", '1', "");
    add("././@LongLink", 'L', "long/by/gnu");
    add("g", '0', "some data");
    finish();
    char *whole = copy_text(archive.data, archive.length);
    for (int round = 0; round < 5000; round++) {
        memcpy(archive.data, whole, archive.length);
        size_t at = next_random(&seed) % archive.length;
        archive.data[at] = (char)next_random(&seed);
        if (round & 1) // so that it gets past the checksum
            seal(archive.data + at / 512 * 512);
        struct tar tar = open_archive();
        while (tar_next(&tar, &entry) > 0)
            expect(strlen(entry.name) <= TAR_NAME_MAX, 1);
    }
}

int main(void)
{
    entries_and_data_come_in_order();
    long_names_come_by_prefix_pax_and_gnu();
    broken_archives_are_refused();
    huge_numbers_do_not_wrap();
    pax_records_are_bounded();
    damaged_archives_do_no_harm();
    alloc_free_all();
    return failures != 0;
}
