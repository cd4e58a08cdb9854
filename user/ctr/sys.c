#include "user/ctr/sys.h"
#include <asm/unistd.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

long sys_clone(unsigned long flags)
{
    return syscall(__NR_clone, flags | SIGCHLD, 0L, 0L, 0L, 0L);
}

int sys_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    for (int i = 0; i < 2; i++) {
        data[i].effective = (uint32_t)(effective >> 32 * i);
        data[i].permitted = (uint32_t)(permitted >> 32 * i);
        data[i].inheritable = (uint32_t)(inheritable >> 32 * i);
    }
    return (int)syscall(__NR_capset, &header, data);
}

uint64_t sys_permitted(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {0};
    syscall(__NR_capget, &header, data);
    return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

int sys_fsetxattr(int fd, const char *name, const char *value, size_t size)
{
    return (int)syscall(__NR_fsetxattr, (long)fd, name, value, size, 0L);
}

const char *fd_path(int fd)
{
    return format_text("/proc/self/fd/%d", fd);
}

char *read_file_at(int dir, const char *path, size_t max, size_t *length)
{
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fail_errno("%s", path);
        return NULL;
    }
    struct buffer buffer = {0};
    char chunk[4096];
    ssize_t got;
    buffer_add(&buffer, "", 0);
    while ((got = read(fd, chunk, sizeof chunk)) > 0 && buffer.length <= max)
        buffer_add(&buffer, chunk, (size_t)got);
    if (got < 0)
        fail_errno("%s", path);
    else if (buffer.length > max)
        fail("%s: larger than %zu bytes", path, max);
    close(fd);
    if (length)
        *length = buffer.length;
    return got < 0 || buffer.length > max ? NULL : buffer.data;
}

int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, text, strlen(text));
    int error = errno;
    close(fd);
    errno = error;
    return written == (ssize_t)strlen(text) ? 0 : -1;
}

int replace_file(const char *path, const char *text)
{
    const char *fresh = format_text("%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno("%s", fresh);
    size_t left = strlen(text);
    while (left) {
        ssize_t written = write(fd, text, left);
        if (written < 0) {
            close(fd);
            return fail_errno("%s", fresh);
        }
        text += written;
        left -= (size_t)written;
    }
    close(fd);
    return rename(fresh, path) ? fail_errno("%s", path) : 0;
}

int make_dir(const char *path, unsigned mode)
{
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return 0;
    return fail_errno("mkdir %s", path);
}

// Empties directory `fd` as far as it has plain entries. The name of the first directory in it that
// is not empty goes to `name`: 1; 0 when it is empty; -1.
static int empty_dir(int fd, char name[256])
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    if (!dir)
        return -1;
    struct dirent *entry;
    int result = 0;
    while (!result && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) == 0 || unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0)
            continue;
        snprintf(name, 256, "%s", entry->d_name);
        result = errno == ENOTEMPTY || errno == EEXIST ? 1 : -1;
    }
    closedir(dir);
    return result;
}

int remove_tree(const char *path)
{
    char name[256];
    int depth = 0, found = 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    while (fd >= 0 && found >= 0) {
        found = empty_dir(fd, name);
        if (found == 0 && depth-- == 0)
            break;
        if (found > 0)
            depth++;
        int next = openat(fd, found ? name : "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(fd);
        fd = next;
    }
    if (fd >= 0)
        close(fd);
    if (fd < 0 || found < 0 || rmdir(path))
        return fail_errno("cannot remove %s", path);
    return 0;
}

void sleep_ms(int ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}
