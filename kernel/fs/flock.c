// Advisory locks of whole files: flock(2). They belong to open file descriptions.
#include "kernel/fs/fdtable.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/task/wait.h"

#define HOLDERS_MAX 16

struct flock_state {
    struct wait_queue queue;
    struct file *exclusive; // the holder
    u32 count;              // of shared holders
    struct file *shared[HOLDERS_MAX];
};

static int holder_index(struct flock_state *l, struct file *f)
{
    for (u32 n = 0; n < l->count; n++)
        if (l->shared[n] == f)
            return n;
    return -1;
}

static void drop(struct flock_state *l, struct file *f)
{
    int n = holder_index(l, f);

    if (l->exclusive == f)
        l->exclusive = NULL;
    else if (n >= 0)
        l->shared[n] = l->shared[--l->count];
    else
        return;
    wake_all(&l->queue);
}

void flock_released(struct file *f)
{
    drop(f->inode->locks, f);
}

static bool try_lock(struct flock_state *l, struct file *f, bool exclusive)
{
    if (l->exclusive && l->exclusive != f)
        return false;
    if (exclusive) {
        if (l->count > (holder_index(l, f) >= 0))
            return false;
        drop(l, f);
        l->exclusive = f;
        return true;
    }
    if (holder_index(l, f) >= 0)
        return true;
    if (l->count == HOLDERS_MAX)
        return false;
    drop(l, f);
    l->shared[l->count++] = f;
    return true;
}

long file_flock(struct file *f, int operation)
{
    int what = operation & ~LOCK_NB;

    if (!f->inode || (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN))
        return f->inode ? -EINVAL : -EBADF;
    struct flock_state *l = f->inode->locks;
    if (!l) {
        if (!(l = kzalloc(sizeof(*l))))
            return -ENOLCK;
        wait_queue_init(&l->queue);
        f->inode->locks = l;
    }
    if (what == LOCK_UN) {
        drop(l, f);
        return 0;
    }
    if (operation & LOCK_NB)
        return try_lock(l, f, what == LOCK_EX) ? 0 : -EAGAIN;
    return wait_event(&l->queue, try_lock(l, f, what == LOCK_EX));
}
