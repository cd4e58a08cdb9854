// Extended attributes: xattr(7). The file systems here keep none, and say so as Linux's do that
// have none: a list is empty, and any other call has EOPNOTSUPP (programs such as cp -a take that,
// but not ENOSYS, for an answer).
#include <linux/fcntl.h>
#include <linux/limits.h>
#include "kernel/fs/fdtable.h"
#include "kernel/fs/namei.h"
#include "kernel/lib/err.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/name.h"
#include "kernel/syscall/syscall.h"

static long by_path(const char __user *path, u32 flags, long answer)
{
    struct path p;
    int err = user_path_at(AT_FDCWD, path, flags, &p);

    if (err)
        return err;
    path_put(&p);
    return answer;
}

static long by_fd(int fd, long answer)
{
    struct file *f = fd_get(fd);

    if (!f)
        return -EBADF;
    file_put(f);
    return answer;
}

// -EOPNOTSUPP if the name can be one.
static long unknown(const char __user *name)
{
    char text[XATTR_NAME_MAX + 1];
    long len = strncpy_from_user(text, name, sizeof(text));

    if (len < 0)
        return len == -ENAMETOOLONG ? -ERANGE : len;
    return len == 0 ? -ERANGE : -EOPNOTSUPP;
}

long sys_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
    return by_path(path, LOOKUP_FOLLOW, unknown(name));
}

long sys_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
    return by_path(path, 0, unknown(name));
}

long sys_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    return by_fd(fd, unknown(name));
}

long sys_getxattr(const char *path, const char *name, void *value, size_t size)
{
    return by_path(path, LOOKUP_FOLLOW, unknown(name));
}

long sys_lgetxattr(const char *path, const char *name, void *value, size_t size)
{
    return by_path(path, 0, unknown(name));
}

long sys_fgetxattr(int fd, const char *name, void *value, size_t size)
{
    return by_fd(fd, unknown(name));
}

long sys_listxattr(const char *path, char *list, size_t size)
{
    return by_path(path, LOOKUP_FOLLOW, 0);
}

long sys_llistxattr(const char *path, char *list, size_t size)
{
    return by_path(path, 0, 0);
}

long sys_flistxattr(int fd, char *list, size_t size)
{
    return by_fd(fd, 0);
}

long sys_removexattr(const char *path, const char *name)
{
    return by_path(path, LOOKUP_FOLLOW, unknown(name));
}

long sys_lremovexattr(const char *path, const char *name)
{
    return by_path(path, 0, unknown(name));
}

long sys_fremovexattr(int fd, const char *name)
{
    return by_fd(fd, unknown(name));
}
