// Record locks of fcntl(2): F_GETLK, F_SETLK, F_SETLKW. A lock belongs to a descriptor table, and
// closing any descriptor of the file drops all that the table has on it (POSIX).
#include "kernel/fs/fdtable.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/task.h"

struct record {
    struct list link;
    const void *owner;
    int pid;
    s64 start, end; // both in the lock
    bool write;
};

struct posix_locks {
    struct list records;
    struct wait_queue queue;
};

static struct posix_locks *locks_of(struct inode *i)
{
    if (i->records)
        return i->records;
    struct posix_locks *l = kzalloc_charged(sizeof(*l));
    if (!l)
        return NULL;
    list_init(&l->records);
    wait_queue_init(&l->queue);
    return i->records = l;
}

static struct record *conflict(struct posix_locks *l, const struct record *wanted)
{
    struct record *r;

    list_for_each (r, &l->records, link)
        if (r->owner != wanted->owner && r->start <= wanted->end && wanted->start <= r->end &&
            (r->write || wanted->write))
            return r;
    return NULL;
}

static struct record *record_new(const struct record *from)
{
    struct record *r = kmalloc_charged(sizeof(*r));

    if (r)
        *r = *from;
    return r;
}

// Takes the range away from the owner's locks; a lock that reaches over both ends becomes two.
static int cut(struct posix_locks *l, const struct record *range)
{
    struct record *r, *tmp;

    list_for_each_safe (r, tmp, &l->records, link) {
        if (r->owner != range->owner || r->start > range->end || range->start > r->end)
            continue;
        if (r->end > range->end) {
            struct record *right = record_new(r);
            if (!right)
                return -ENOLCK;
            right->start = range->end + 1;
            list_push(&r->link, &right->link);
        }
        if (r->start < range->start) {
            r->end = range->start - 1;
            continue;
        }
        list_remove(&r->link);
        kfree(r);
    }
    return 0;
}

static int set(struct posix_locks *l, const struct record *wanted, bool unlock)
{
    struct record *r = unlock ? NULL : record_new(wanted);

    if (!unlock && !r)
        return -ENOLCK;
    int err = cut(l, wanted);
    if (err) {
        kfree(r);
        return err;
    }
    if (r)
        list_append(&l->records, &r->link);
    wake_all(&l->queue);
    return 0;
}

static int parse(struct file *f, const struct flock *fl, struct record *r)
{
    s64 base = fl->l_whence == 1 ? (s64)f->pos : fl->l_whence == 2 ? (s64)f->inode->size : 0;

    if (fl->l_type != F_RDLCK && fl->l_type != F_WRLCK && fl->l_type != F_UNLCK)
        return -EINVAL;
    if (fl->l_whence < 0 || fl->l_whence > 2)
        return -EINVAL;
    *r = (struct record){
        .owner = current()->files,
        .pid = pid_nr(current()->process->pid, current_pid_ns()),
        .start = base + fl->l_start,
        .end = fl->l_len > 0 ? base + fl->l_start + fl->l_len - 1 : INT64_MAX,
        .write = fl->l_type == F_WRLCK,
    };
    if (fl->l_len < 0) {
        r->end = r->start - 1;
        r->start += fl->l_len;
    }
    return r->start < 0 || r->end < r->start ? -EINVAL : 0;
}

static void describe(struct flock *fl, const struct record *r)
{
    if (!r) {
        fl->l_type = F_UNLCK;
        return;
    }
    *fl = (struct flock){
        .l_type = r->write ? F_WRLCK : F_RDLCK,
        .l_start = r->start,
        .l_len = r->end == INT64_MAX ? 0 : r->end - r->start + 1,
        .l_pid = r->pid,
    };
}

long file_lock(struct file *f, int cmd, void __user *arg)
{
    struct record wanted;
    struct flock fl;

    if (!f->inode || copy_from_user(&fl, arg, sizeof(fl)))
        return f->inode ? -EFAULT : -EBADF;
    int err = parse(f, &fl, &wanted);
    if (err)
        return err;
    struct posix_locks *l = locks_of(f->inode);
    if (!l)
        return -ENOLCK;
    if (cmd == F_GETLK) {
        describe(&fl, conflict(l, &wanted));
        return copy_to_user(arg, &fl, sizeof(fl));
    }
    bool unlock = fl.l_type == F_UNLCK;
    if (!unlock && !(f->kind & (wanted.write ? FILE_WRITE : FILE_READ)))
        return -EBADF;
    if (!unlock && cmd == F_SETLK && conflict(l, &wanted))
        return -EAGAIN;
    if (!unlock)
        err = wait_event(&l->queue, !conflict(l, &wanted));
    return err ? err : set(l, &wanted, unlock);
}

void file_unlock_all(struct file *f, const struct fdtable *owner)
{
    struct record all = {.owner = owner, .end = INT64_MAX};

    if (f->inode && f->inode->records)
        set(f->inode->records, &all, true);
}
