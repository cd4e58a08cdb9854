// execve(2), execveat(2): the arguments come over from the old program before it goes.
#include <linux/fcntl.h>

#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/exec.h"
#include "kernel/task/sched.h"
#include "kernel/task/task.h"

#define PATH_SIZE 4096
#define STRING_MAX (128UL * 1024) // of one argument, as on Linux
#define STRINGS_MAX (2UL * 1024 * 1024)

static int make_room(struct exec_args *args, size_t more)
{
    size_t size = args->size ? args->size : PAGE_SIZE;

    while (size < args->used + more)
        size *= 2;
    if (size == args->size)
        return 0;
    char *larger = krealloc(args->strings, size);
    if (!larger)
        return -ENOMEM;
    args->strings = larger;
    args->size = size;
    return 0;
}

// Appends one string of the caller's.
static int copy_string(struct exec_args *args, const char __user *text)
{
    for (size_t room = 256;; room *= 2) {
        int err = make_room(args, room);
        if (err)
            return err;
        long len = strncpy_from_user(args->strings + args->used, text, room);
        if (len == -ENAMETOOLONG && room < STRING_MAX)
            continue;
        if (len < 0)
            return len == -ENAMETOOLONG ? -E2BIG : (int)len;
        args->used += len + 1;
        return args->used > STRINGS_MAX ? -E2BIG : 0;
    }
}

// A NULL-terminated list of strings; a NULL list is an empty one.
static int copy_list(struct exec_args *args, const u64 __user *list, int *count)
{
    u64 text;

    for (; list; list++, ++*count) {
        if (get_user(text, list))
            return -EFAULT;
        if (!text)
            break;
        int err = copy_string(args, (const char __user *)text);
        if (err)
            return err;
        cond_resched();
    }
    return 0;
}

static long do_execve(int dirfd, const char __user *path, const u64 __user *argv,
                      const u64 __user *envp, int flags)
{
    struct exec_args args = {0};
    char *name = kmalloc(PATH_SIZE);

    if (!name)
        return -ENOMEM;
    long err = strncpy_from_user(name, path, PATH_SIZE);
    if (err >= 0)
        err = copy_list(&args, argv, &args.argc);
    if (err >= 0 && args.argc == 0) { // Linux gives such a program an empty argv[0]
        err = make_room(&args, 1);
        if (!err)
            args.strings[args.used++] = 0;
        args.argc = 1;
    }
    if (err >= 0)
        err = copy_list(&args, envp, &args.envc);
    if (err >= 0)
        err = exec_program(dirfd, name, &args, flags);
    kfree(args.strings);
    kfree(name);
    return err;
}

long sys_execve(const char *path, const u64 *argv, const u64 *envp)
{
    return do_execve(AT_FDCWD, path, argv, envp, 0);
}

long sys_execveat(int dirfd, const char *path, const u64 *argv, const u64 *envp, int flags)
{
    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    return do_execve(dirfd, path, argv, envp, flags);
}
