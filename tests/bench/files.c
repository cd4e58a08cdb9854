/* What files cost: the same calls that Linux's figures in docs were measured with. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/bench.h"

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void open_and_close(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        fail(path);
    close(fd);
}

static void create_and_unlink(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    if (fd < 0)
        fail(path);
    close(fd);
    if (unlink(path) < 0)
        fail(path);
}

static void make_files(int count)
{
    char name[32];
    if (mkdir("/tmp/many", 0700) < 0)
        fail("/tmp/many");
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "/tmp/many/%d", i);
        int fd = open(name, O_CREAT | O_WRONLY, 0600);
        if (fd < 0)
            fail(name);
        close(fd);
    }
}

int main(void)
{
    static char page[4096];
    struct stat st;
    int fd = open("/tmp/file", O_CREAT | O_RDWR, 0600);
    if (fd < 0 || write(fd, page, sizeof(page)) != sizeof(page))
        fail("/tmp/file");
    MEASURE("stat", 10, 100, stat("/tmp/file", &st));
    MEASURE("open, close", 10, 100, open_and_close("/tmp/file"));
    MEASURE("read 4 KiB", 10, 100, pread(fd, page, sizeof(page), 0));
    MEASURE("create, unlink", 10, 100, create_and_unlink("/tmp/new"));
    make_files(10000);
    MEASURE("stat among 10000 names", 10, 100, stat("/tmp/many/7777", &st));
    MEASURE("create, unlink among 10000 names", 10, 100, create_and_unlink("/tmp/many/new"));
    MEASURE("stat /proc/self/stat", 10, 100, stat("/proc/self/stat", &st));
    return 0;
}
