// Futexes: waiters in a hash table by what the address means. Private ones by address space and
// address; shared ones by the page behind the address, which all mappings of it have in common.

#include "kernel/task/futex.h"
#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/time_types.h>
#include "kernel/lib/err.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/sched.h"
#include "kernel/task/task_internal.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"

#define BUCKETS 64

struct futex_key {
    u64 object; // the address space, or the physical page
    u64 offset; // the address, or the offset in the page
};

struct futex_waiter {
    struct list link; // in a bucket
    struct futex_key key;
    u32 bitset;
    bool woken;
    struct wait_queue queue; // its one sleeper
};

static struct list buckets[BUCKETS];

static struct list *bucket(const struct futex_key *key)
{
    struct list *b = &buckets[((key->object >> 6) ^ (key->offset >> 2)) % BUCKETS];

    if (!b->next)
        list_init(b);
    return b;
}

// The key of a private futex, or of a shared one; the page need not stay: a page with waiters that
// is moved away by copy-on-write is private memory.
static int make_key(u32 __user *uaddr, bool private, struct futex_key *key)
{
    u64 va = (u64)uaddr;
    bool writable;

    if (va & 3)
        return -EINVAL;
    if (va >= USER_END)
        return -EFAULT;
    struct area *area = aspace_find(current()->aspace, va);
    if (private || !area || !(area->flags & MAP_SHARED)) {
        *key = (struct futex_key){(u64)current()->aspace, va};
        return 0;
    }
    struct page *page = aspace_get_page(current()->aspace, va, true, &writable);
    if (IS_ERR(page))
        return -EFAULT;
    *key = (struct futex_key){page_to_phys(page), va & ~PAGE_MASK};
    page_put(page);
    return 0;
}

static bool same_key(const struct futex_key *a, const struct futex_key *b)
{
    return a->object == b->object && a->offset == b->offset;
}

static void wake_waiter(struct futex_waiter *w)
{
    list_remove(&w->link);
    w->woken = true;
    wake_all(&w->queue);
}

static int wake_key(const struct futex_key *key, int n, u32 bitset)
{
    struct futex_waiter *w, *tmp;
    int woken = 0;

    list_for_each_safe (w, tmp, bucket(key), link) {
        if (woken >= n)
            break;
        if (same_key(&w->key, key) && (w->bitset & bitset)) {
            wake_waiter(w);
            woken++;
        }
    }
    return woken;
}

int futex_wake(u32 __user *uaddr, int n)
{
    struct futex_key private, shared;
    int woken = make_key(uaddr, true, &private) ? 0 : wake_key(&private, n, FUTEX_BITSET_MATCH_ANY);

    if (woken < n && !make_key(uaddr, false, &shared) && !same_key(&private, &shared))
        woken += wake_key(&shared, n - woken, FUTEX_BITSET_MATCH_ANY);
    return woken;
}

static long wait_key(u32 __user *uaddr, const struct futex_key *key, u32 val, u32 bitset,
                     u64 deadline)
{
    struct futex_waiter w = {.key = *key, .bitset = bitset};
    u32 now;

    if (!bitset)
        return -EINVAL;
    if (get_user(now, uaddr))
        return -EFAULT;
    if (now != val)
        return -EAGAIN;
    wait_queue_init(&w.queue);
    list_append(bucket(key), &w.link);
    long err = 0;
    while (!w.woken && !err)
        err = wait_sleep(&w.queue, deadline);
    list_remove(&w.link);
    return w.woken ? 0 : err;
}

// Goes on after a signal without a handler: args are address, value and bitset; the deadline is
// absolute.
static long futex_wait_restart(void)
{
    struct task *t = current();
    u32 __user *uaddr = (u32 __user *)t->restart_args[0];
    struct futex_key key;

    long err = make_key(uaddr, t->restart_args[1] >> 32, &key);
    if (err)
        return err;
    err = wait_key(uaddr, &key, t->restart_args[1], t->restart_args[2], t->restart_ns);
    return err == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : err;
}

static long futex_wait(u32 __user *uaddr, bool private, u32 val, u32 bitset, u64 deadline)
{
    struct task *t = current();
    struct futex_key key;
    long err = make_key(uaddr, private, &key);

    if (err)
        return err;
    err = wait_key(uaddr, &key, val, bitset, deadline);
    if (err != -ERESTARTSYS || deadline == WAIT_FOREVER)
        return err;
    t->restart = futex_wait_restart;
    t->restart_args[0] = (u64)uaddr;
    t->restart_args[1] = (u64) private << 32 | val;
    t->restart_args[2] = bitset;
    t->restart_ns = deadline;
    return -ERESTART_RESTARTBLOCK;
}

// Wakes nr_wake waiters of a and moves up to nr_move others to b.
static long requeue(const struct futex_key *a, const struct futex_key *b, int nr_wake, int nr_move)
{
    struct futex_waiter *w, *tmp;
    int woken = wake_key(a, nr_wake, FUTEX_BITSET_MATCH_ANY), moved = 0;

    list_for_each_safe (w, tmp, bucket(a), link) {
        if (moved >= nr_move)
            break;
        if (!same_key(&w->key, a) || same_key(a, b))
            continue;
        list_remove(&w->link);
        w->key = *b;
        list_append(bucket(b), &w->link);
        moved++;
    }
    return woken + moved;
}

static long futex_requeue(u32 __user *uaddr, int op, u32 val, u64 val2, u32 __user *uaddr2,
                          u32 val3)
{
    bool private = op & FUTEX_PRIVATE_FLAG;
    struct futex_key a, b;
    u32 now;
    long err = make_key(uaddr, private, &a);

    if (!err)
        err = make_key(uaddr2, private, &b);
    if (err)
        return err;
    if ((op & FUTEX_CMD_MASK) == FUTEX_CMP_REQUEUE) {
        if (get_user(now, uaddr))
            return -EFAULT;
        if (now != val3)
            return -EAGAIN;
    }
    return requeue(&a, &b, val, val2);
}

// A timeout of FUTEX_WAIT is relative, one of FUTEX_WAIT_BITSET absolute, of the realtime clock if
// the flag says so.
static long read_deadline(int op, u64 timeout, u64 *deadline)
{
    struct __kernel_timespec ts;

    *deadline = WAIT_FOREVER;
    if (!timeout)
        return 0;
    if (copy_from_user(&ts, (void __user *)timeout, sizeof(ts)))
        return -EFAULT;
    if (ts.tv_sec < 0 || (u64)ts.tv_nsec >= NSEC_PER_SEC)
        return -EINVAL;
    u64 ns = (u64)ts.tv_sec >= WAIT_FOREVER / NSEC_PER_SEC / 2
                 ? WAIT_FOREVER / 2
                 : ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
    if ((op & FUTEX_CMD_MASK) == FUTEX_WAIT)
        *deadline = clock_ns() + ns;
    else if (op & FUTEX_CLOCK_REALTIME)
        *deadline = ns > clock_realtime_offset() ? ns - clock_realtime_offset() : 0;
    else
        *deadline = ns;
    return 0;
}

long futex_op(u32 __user *uaddr, int op, u32 val, u64 timeout_or_val2, u32 __user *uaddr2, u32 val3)
{
    bool private = op & FUTEX_PRIVATE_FLAG;
    int cmd = op & FUTEX_CMD_MASK;
    struct futex_key key;
    u64 deadline;
    long err;

    switch (cmd) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        err = read_deadline(op, timeout_or_val2, &deadline);
        if (err)
            return err;
        return futex_wait(uaddr, private, val, cmd == FUTEX_WAIT ? FUTEX_BITSET_MATCH_ANY : val3,
                          deadline);
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
        if (cmd == FUTEX_WAKE_BITSET && !val3)
            return -EINVAL;
        err = make_key(uaddr, private, &key);
        return err ? err
                   : wake_key(&key, (int)val, cmd == FUTEX_WAKE ? FUTEX_BITSET_MATCH_ANY : val3);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(uaddr, op, val, timeout_or_val2, uaddr2, val3);
    default:
        return -ENOSYS;
    }
}

#define ROBUST_LIST_LIMIT 2048

// The lock at uaddr, if the ending thread holds it, is marked; a waiter gets its chance.
static void release_robust_lock(u32 __user *uaddr)
{
    u32 value, tid = pid_nr(current()->pid, current_pid_ns());

    if (((u64)uaddr & 3) || get_user(value, uaddr))
        return;
    for (u32 seen = ~value; seen != value;) { // a waiter on another CPU may set its bit meanwhile
        if ((value & FUTEX_TID_MASK) != tid)
            return;
        seen = value;
        if (cmpxchg_user(uaddr, &value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED))
            return;
    }
    if (value & FUTEX_WAITERS)
        futex_wake(uaddr, 1);
}

void futex_exit_robust_list(void)
{
    struct robust_list_head head;
    struct robust_list entry;
    u64 at = (u64)current()->robust_list;

    current()->robust_list = NULL;
    if (!at || copy_from_user(&head, (void __user *)at, sizeof(head)))
        return;
    u64 pos = (u64)head.list.next;
    for (int i = 0; i < ROBUST_LIST_LIMIT && pos != at; i++) {
        bool last = copy_from_user(&entry, (void __user *)(pos & ~1UL), sizeof(entry));
        if (pos != (u64)head.list_op_pending)
            release_robust_lock((u32 __user *)((pos & ~1UL) + head.futex_offset));
        if (last)
            return;
        pos = (u64)entry.next;
    }
    if (head.list_op_pending)
        release_robust_lock((u32 __user *)(((u64)head.list_op_pending & ~1UL) + head.futex_offset));
}
