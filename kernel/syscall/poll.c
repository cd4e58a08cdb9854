// Waiting for several files: poll(2), select(2).
#include "kernel/fs/fdtable.h"
#include "kernel/fs/poll.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/deadline.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/signal.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"

#define SLOTS_INLINE 8

struct slot {
    int fd;
    u32 events, revents;
    struct file *file; // a reference for as long as we wait in its queues
};

static u32 look(struct slot *s, struct poll_table *pt)
{
    if (s->fd < 0)
        return 0;
    if (!s->file)
        return POLLNVAL;
    return file_poll(s->file, pt) & (s->events | POLLERR | POLLHUP);
}

static int scan(struct slot *slots, u32 n, struct poll_table *pt)
{
    int ready = 0;

    for (u32 i = 0; i < n; i++) {
        slots[i].revents = look(&slots[i], ready ? NULL : pt);
        ready += slots[i].revents != 0;
    }
    return ready;
}

// Sleeps until a slot is ready or the deadline. Number of ready slots, -ERESTARTNOHAND, -ENOMEM.
static long wait_for(struct slot *slots, u32 n, u64 deadline)
{
    struct poll_waiter w;
    struct poll_table *pt = deadline ? &w.table : NULL;
    long result;

    for (u32 i = 0; i < n; i++)
        slots[i].file = slots[i].fd < 0 ? NULL : fd_get(slots[i].fd);
    poll_waiter_init(&w);
    for (;;) {
        result = scan(slots, n, pt);
        if (result || !deadline)
            break;
        pt = NULL;
        if (w.no_memory) {
            result = -ENOMEM;
            break;
        }
        int err = wait_sleep_entries(deadline);
        if (err == -ETIMEDOUT)
            deadline = 0; // one last look
        else if (err) {
            result = -ERESTARTNOHAND;
            break;
        }
    }
    poll_waiter_done(&w);
    for (u32 i = 0; i < n; i++)
        if (slots[i].file)
            file_put(slots[i].file);
    return result;
}

static long poll_until(struct pollfd __user *fds, u32 nfds, u64 deadline)
{
    struct slot few[SLOTS_INLINE], *slots = few;
    struct pollfd p;
    long result = 0;

    if (nfds > current()->process->rlimits[RLIMIT_NOFILE].rlim_cur || nfds > FD_LIMIT)
        return -EINVAL;
    if (nfds > SLOTS_INLINE && !(slots = kmalloc(nfds * sizeof(*slots))))
        return -ENOMEM;
    for (u32 i = 0; i < nfds && !result; i++) {
        if (copy_from_user(&p, &fds[i], sizeof(p)))
            result = -EFAULT;
        slots[i] = (struct slot){p.fd, (u16)p.events, 0, NULL};
    }
    if (!result)
        result = wait_for(slots, nfds, deadline);
    for (u32 i = 0; i < nfds && result >= 0; i++)
        if (put_user(slots[i].revents, &fds[i].revents))
            result = -EFAULT;
    if (slots != few)
        kfree(slots);
    return result;
}

long sys_poll(void *fds, u32 nfds, int timeout)
{
    return poll_until(fds, nfds, deadline_ms(timeout));
}

// Sets the caller's mask for the length of the call; NULL: as it is.
static int use_mask(const u64 __user *sigmask, size_t size)
{
    u64 mask;

    if (!sigmask)
        return 0;
    if (size != sizeof(mask))
        return -EINVAL;
    if (get_user(mask, sigmask))
        return -EFAULT;
    signal_set_temporary_mask(mask);
    return 0;
}

long sys_ppoll(void *fds, u32 nfds, const void *timeout, const u64 *sigmask, size_t sigsetsize)
{
    u64 deadline;
    int err = deadline_timespec(timeout, 1, &deadline);

    if (!err)
        err = use_mask(sigmask, sigsetsize);
    if (err)
        return err;
    long n = poll_until(fds, nfds, deadline);
    return deadline_write_back((void *)timeout, 1, deadline) ? -EFAULT : n;
}

// select(2): three bit sets for reading, writing and exceptions.
#define SETS 3
static const u32 set_events[SETS] = {POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
                                     POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR, POLLPRI};

struct select {
    u32 nfds, words, slots;
    u64 *bits; // SETS times `words`
    struct slot *slot;
};

static int read_sets(struct select *s, void __user *const sets[SETS])
{
    for (int k = 0; k < SETS; k++)
        if (sets[k] && copy_from_user(s->bits + k * s->words, sets[k], s->words * 8))
            return -EFAULT;
    for (u32 fd = 0; fd < s->nfds; fd++) {
        u32 events = 0;
        for (int k = 0; k < SETS; k++)
            if (s->bits[k * s->words + fd / 64] >> (fd % 64) & 1)
                events |= set_events[k];
        if (!events)
            continue;
        if (fd_cloexec(fd) < 0)
            return -EBADF;
        s->slot[s->slots++] = (struct slot){fd, events, 0, NULL};
    }
    return 0;
}

static long write_sets(struct select *s, void __user *const sets[SETS])
{
    long count = 0;

    for (int k = 0; k < SETS; k++) {
        u64 *bits = s->bits + k * s->words;
        for (u32 i = 0; i < s->slots; i++) {
            struct slot *slot = &s->slot[i];
            u64 bit = BIT(slot->fd % 64), *word = &bits[slot->fd / 64];
            if (!(*word & bit))
                continue;
            if (slot->revents & set_events[k])
                count++;
            else
                *word &= ~bit;
        }
        if (sets[k] && copy_to_user(sets[k], bits, s->words * 8))
            return -EFAULT;
    }
    return count;
}

static long select_until(int nfds, void __user *const sets[SETS], u64 deadline)
{
    struct select s = {.nfds = min(nfds, FD_LIMIT)};

    if (nfds < 0)
        return -EINVAL;
    s.words = ALIGN_UP(s.nfds, 64) / 64;
    s.bits = kzalloc(s.words * SETS * 8 + 8);
    s.slot = kmalloc(s.nfds * sizeof(*s.slot) + 8);
    long result = s.bits && s.slot ? read_sets(&s, sets) : -ENOMEM;
    if (!result)
        result = wait_for(s.slot, s.slots, deadline);
    if (result >= 0)
        result = write_sets(&s, sets);
    kfree(s.bits);
    kfree(s.slot);
    return result;
}

long sys_select(int nfds, void *readfds, void *writefds, void *exceptfds, void *timeout)
{
    u64 deadline;
    int err = deadline_timespec(timeout, NSEC_PER_USEC, &deadline);

    if (err)
        return err;
    long n = select_until(nfds, (void *[]){readfds, writefds, exceptfds}, deadline);
    return deadline_write_back(timeout, NSEC_PER_USEC, deadline) ? -EFAULT : n;
}

long sys_pselect6(int nfds, void *readfds, void *writefds, void *exceptfds, const void *timeout,
                  const void *sigmask)
{
    struct {
        const u64 *mask;
        size_t size;
    } m = {};
    u64 deadline;

    if (sigmask && copy_from_user(&m, sigmask, sizeof(m)))
        return -EFAULT;
    int err = deadline_timespec(timeout, 1, &deadline);
    if (!err)
        err = use_mask(m.mask, m.size);
    if (err)
        return err;
    long n = select_until(nfds, (void *[]){readfds, writefds, exceptfds}, deadline);
    return deadline_write_back((void *)timeout, 1, deadline) ? -EFAULT : n;
}
