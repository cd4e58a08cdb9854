// Paths that come from user space. Buffers that are free wait in a short list: every call that
// takes a path needs one.
#include "kernel/syscall/name.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"

#define SPARE_MAX 16

static char *spare[SPARE_MAX];
static unsigned spares;

char *name_get(const char __user *path)
{
    char *name = spares ? spare[--spares] : kmalloc(PATH_MAX_K);

    if (!name)
        return ERR_PTR(-ENOMEM);
    long n = strncpy_from_user(name, path, PATH_MAX_K);
    if (n >= 0)
        return name;
    name_put(name);
    return ERR_PTR(n);
}

void name_put(char *name)
{
    if (IS_ERR(name))
        return;
    if (spares < SPARE_MAX)
        spare[spares++] = name;
    else
        kfree(name);
}

int user_path_at(int dirfd, const char __user *path, u32 flags, struct path *out)
{
    char *name = name_get(path);

    if (IS_ERR(name))
        return PTR_ERR(name);
    int err = path_lookup_at(dirfd, name, flags, out);
    name_put(name);
    return err;
}

int user_path_parent(int dirfd, const char __user *path, struct path *parent,
                     struct path_last *last)
{
    char *name = name_get(path);

    if (IS_ERR(name))
        return PTR_ERR(name);
    int err = path_lookup_parent(dirfd, name, parent, last);
    name_put(name);
    return err;
}

u32 lookup_flags(int at_flags)
{
    return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
           (at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
}
