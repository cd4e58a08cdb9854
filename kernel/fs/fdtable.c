// Descriptor tables. See fdtable.h; fs_context.c is how tasks share and copy them.
#include "kernel/fs/fdtable.h"
#include "kernel/fs/fs_context.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/task/task.h"

#define FIRST_SIZE 64

struct fdtable *fdtable_new(u32 size)
{
    struct fdtable *t = kzalloc_charged(sizeof(*t));

    if (!t)
        return NULL;
    t->refs = 1;
    t->size = ALIGN_UP(size < FIRST_SIZE ? FIRST_SIZE : size, 64);
    t->files = kzalloc_charged(t->size * sizeof(*t->files));
    t->cloexec = kzalloc_charged(t->size / 8);
    if (t->files && t->cloexec)
        return t;
    kfree(t->files);
    kfree(t->cloexec);
    kfree(t);
    return NULL;
}

struct fdtable *fdtable_copy(const struct fdtable *from)
{
    u32 used = from->size;

    while (used && !from->files[used - 1])
        used--;
    struct fdtable *t = fdtable_new(used);
    if (!t)
        return NULL;
    for (u32 fd = 0; fd < used; fd++)
        if (from->files[fd])
            t->files[fd] = file_get(from->files[fd]);
    memcpy(t->cloexec, from->cloexec, min(t->size, from->size) / 8);
    t->next_free = min(from->next_free, used);
    return t;
}

static void drop(struct fdtable *t, struct file *f)
{
    if (f->inode && f->inode->records)
        file_unlock_all(f, t);
    file_put(f);
}

void fdtable_put(struct fdtable *t)
{
    if (!t || --t->refs)
        return;
    for (u32 fd = 0; fd < t->size; fd++)
        if (t->files[fd])
            drop(t, t->files[fd]);
    kfree(t->files);
    kfree(t->cloexec);
    kfree(t);
}

static int grow(struct fdtable *t, u32 needed)
{
    u32 size = t->size;

    while (size < needed)
        size *= 2;
    struct file **files = krealloc(t->files, size * sizeof(*files));
    if (!files)
        return -ENOMEM;
    t->files = files;
    u64 *cloexec = krealloc(t->cloexec, size / 8);
    if (!cloexec)
        return -ENOMEM;
    t->cloexec = cloexec;
    memset(files + t->size, 0, (size - t->size) * sizeof(*files));
    memset((char *)cloexec + t->size / 8, 0, (size - t->size) / 8);
    t->size = size;
    return 0;
}

static void set_cloexec(struct fdtable *t, int fd, bool on)
{
    if (on)
        t->cloexec[fd / 64] |= BIT(fd % 64);
    else
        t->cloexec[fd / 64] &= ~BIT(fd % 64);
}

static struct fdtable *mine(void)
{
    return current()->files;
}

static struct file *lookup(const struct fdtable *t, int fd)
{
    return t && (u32)fd < t->size ? t->files[fd] : NULL;
}

struct file *fd_get_any(int fd)
{
    struct file *f = lookup(mine(), fd);
    return f ? file_get(f) : NULL;
}

struct file *fd_get(int fd)
{
    struct file *f = lookup(mine(), fd);
    return f && !(f->kind & FILE_PATH) ? file_get(f) : NULL;
}

struct file *fd_get_of(const struct task *t, int fd)
{
    struct file *f = lookup(t->files, fd);
    return f ? file_get(f) : NULL;
}

int fd_next(const struct task *t, int fd)
{
    const struct fdtable *table = t->files;

    for (; table && (u32)fd < table->size; fd++)
        if (table->files[fd])
            return fd;
    return -1;
}

static u64 descriptor_limit(void)
{
    return min(current()->process->rlimits[RLIMIT_NOFILE].rlim_cur, (u64)FD_LIMIT);
}

// The lowest free number from `lowest` on, with room in the table, or -errno.
static int find_free(struct fdtable *t, u32 lowest)
{
    u32 fd = lowest > t->next_free ? lowest : t->next_free;

    while (fd < t->size && t->files[fd])
        fd++;
    if (fd >= descriptor_limit())
        return -EMFILE;
    int err = fd >= t->size ? grow(t, fd + 1) : 0;
    return err ? err : (int)fd;
}

int fd_install_from(struct file *f, int lowest, u32 flags)
{
    struct fdtable *t = mine();
    int fd = (u64)lowest < descriptor_limit() ? find_free(t, lowest) : -EINVAL;

    if (fd < 0) {
        file_put(f);
        return fd;
    }
    t->files[fd] = f;
    if ((u32)lowest <= t->next_free)
        t->next_free = fd + 1;
    set_cloexec(t, fd, flags & O_CLOEXEC);
    return fd;
}

int fd_install(struct file *f, u32 flags)
{
    return fd_install_from(f, 0, flags);
}

int fd_replace(int fd, struct file *f, u32 flags)
{
    struct fdtable *t = mine();
    int err = fd < 0 || (u64)fd >= descriptor_limit() ? -EBADF : 0;

    if (!err && (u32)fd >= t->size)
        err = grow(t, fd + 1);
    if (err) {
        file_put(f);
        return err;
    }
    struct file *old = t->files[fd];
    t->files[fd] = f;
    set_cloexec(t, fd, flags & O_CLOEXEC);
    if (old)
        drop(t, old);
    return fd;
}

static struct file *take(struct fdtable *t, int fd)
{
    struct file *f = lookup(t, fd);

    if (!f)
        return NULL;
    t->files[fd] = NULL;
    set_cloexec(t, fd, false);
    if ((u32)fd < t->next_free)
        t->next_free = fd;
    return f;
}

int fd_close(int fd)
{
    struct file *f = take(mine(), fd);

    if (!f)
        return -EBADF;
    drop(mine(), f);
    return 0;
}

int fd_set_cloexec(int fd, bool on)
{
    if (!lookup(mine(), fd))
        return -EBADF;
    set_cloexec(mine(), fd, on);
    return 0;
}

int fd_cloexec(int fd)
{
    if (!lookup(mine(), fd))
        return -EBADF;
    return mine()->cloexec[fd / 64] >> (fd % 64) & 1;
}

void fdtable_close_on_exec(struct fdtable *t)
{
    for (u32 word = 0; word < t->size / 64; word++)
        while (t->cloexec[word])
            drop(t, take(t, word * 64 + __builtin_ctzl(t->cloexec[word])));
}
