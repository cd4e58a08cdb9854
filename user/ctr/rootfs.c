#include "user/ctr/rootfs.h"
#include "user/ctr/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define DIRECTORY (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int open_parent(int root, const char *path, bool make, const char **last)
{
    int dir = openat(root, ".", DIRECTORY);
    char name[256];
    const char *slash;
    while (dir >= 0 && (slash = strchr(path, '/'))) {
        size_t length = (size_t)(slash - path);
        if (length >= sizeof name) {
            close(dir);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, path, length);
        name[length] = '\0';
        int next = openat(dir, name, DIRECTORY);
        if (next < 0 && errno == ENOENT && make && mkdirat(dir, name, 0755) == 0)
            next = openat(dir, name, DIRECTORY);
        int error = errno;
        close(dir);
        errno = error;
        dir = next;
        path = slash + 1;
    }
    *last = path;
    return dir;
}

int open_beneath(int root, const char *path, int flags)
{
    const char *last;
    int dir = open_parent(root, path, false, &last);
    if (dir < 0)
        return -1;
    int fd = openat(dir, *last ? last : ".", flags | O_NOFOLLOW | O_CLOEXEC);
    int error = errno;
    close(dir);
    errno = error;
    return fd;
}

static int look(void *context, const char *path, char *target)
{
    const char *last;
    int dir = open_parent(*(int *)context, path, false, &last);
    if (dir < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail_errno("%s", path);
    ssize_t length = readlinkat(dir, last, target, PATH_SIZE - 1);
    int error = errno;
    close(dir);
    if (length >= 0) {
        target[length] = '\0';
        return 2;
    }
    errno = error;
    return error == EINVAL ? 1 : error == ENOENT ? 0 : fail_errno("%s", path);
}

int resolve_in(int root, const char *path, enum path_rule rule, bool keep_last, char out[PATH_SIZE])
{
    return path_resolve(path, rule, keep_last, look, &root, out);
}

int open_in_root(int root, const char *path)
{
    char clean[PATH_SIZE];
    if (resolve_in(root, path, PATH_IN_ROOT, false, clean)) {
        errno = EINVAL;
        return -1;
    }
    return open_beneath(root, clean, O_PATH);
}

int open_target(int root, const char *path, bool directory)
{
    char clean[PATH_SIZE];
    const char *last;
    if (resolve_in(root, path, PATH_IN_ROOT, false, clean))
        return -1;
    int dir = open_parent(root, clean, true, &last);
    if (dir < 0)
        return fail_errno("%s", path);
    int fd = openat(dir, *last ? last : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        int made = directory ? mkdirat(dir, last, 0755)
                             : openat(dir, last, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
        if (!directory && made >= 0)
            close(made);
        if (made >= 0)
            fd = openat(dir, last, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0)
        fail_errno("%s", path);
    close(dir);
    return fd;
}
