// mount(2), umount2(2), pivot_root(2): strings from user space for kernel/fs/mount.c.
#include <linux/mount.h>
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/name.h"
#include "kernel/syscall/syscall.h"
#include "kernel/x86/paging.h"

#define IGNORES_TYPE                                                                               \
    (MS_REMOUNT | MS_BIND | MS_MOVE | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

// A string that may be missing: "" then.
static char *optional_string(const char __user *s)
{
    if (s)
        return name_get(s);
    char *empty = kzalloc(PATH_MAX_K);
    return empty ? empty : ERR_PTR(-ENOMEM);
}

// Options are a page of text at most; an unreadable page behind them does no harm.
static char *options_string(const void __user *data)
{
    char *text = kzalloc(PATH_MAX_K);

    if (!text || !data)
        return text ? text : ERR_PTR(-ENOMEM);
    // The stack of a program reaches up to the end of user space.
    size_t size = (u64)data < USER_END ? min(USER_END - (u64)data, (u64)PATH_MAX_K) : 0;
    if (copy_from_user_partial(text, data, size) == size) {
        kfree(text);
        return ERR_PTR(-EFAULT);
    }
    text[PATH_MAX_K - 1] = '\0'; // what lies behind the caller's text is no matter of ours
    return text;
}

long sys_mount(const char *source, const char *target, const char *type, u64 flags,
               const void *data)
{
    char *from = optional_string(source), *to = name_get(target);
    char *fs = optional_string(flags & IGNORES_TYPE ? NULL : type), *options = options_string(data);
    long err;

    if (IS_ERR(from) || IS_ERR(to) || IS_ERR(fs) || IS_ERR(options))
        err = IS_ERR(to)        ? PTR_ERR(to)
              : IS_ERR(options) ? PTR_ERR(options)
              : IS_ERR(from)    ? PTR_ERR(from)
                                : PTR_ERR(fs);
    else
        err = do_mount(from, to, fs, flags, options);
    name_put(from);
    name_put(to);
    name_put(fs);
    if (!IS_ERR(options))
        kfree(options);
    return err;
}

long sys_umount2(const char *target, int flags)
{
    char *name = name_get(target);

    if (IS_ERR(name))
        return PTR_ERR(name);
    long err = do_umount(name, flags);
    name_put(name);
    return err;
}

long sys_pivot_root(const char *new_root, const char *put_old)
{
    char *new = name_get(new_root), *old = name_get(put_old);
    long err = IS_ERR(new) ? PTR_ERR(new) : IS_ERR(old) ? PTR_ERR(old) : do_pivot_root(new, old);

    name_put(new);
    name_put(old);
    return err;
}
