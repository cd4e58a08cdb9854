// System calls about time.

#include <linux/sysinfo.h>
#include <linux/time.h>
#include <linux/timerfd.h>
#include <linux/times.h>
#include "kernel/fs/fdtable.h"
#include "kernel/fs/timerfd.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/loadavg.h"
#include "kernel/task/sched.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"

#define CLOCK_TICK_NS 10000000UL // what times(2) counts in: 1/100 s
static_assert(sizeof(struct sysinfo) == 112, "the ABI's struct sysinfo");

static struct __kernel_timespec to_timespec(u64 ns)
{
    return (struct __kernel_timespec){ns / NSEC_PER_SEC, ns % NSEC_PER_SEC};
}

// The clock of the processor time of a thread of ours or of a process, numbered as
// clock_getcpuclockid(3) does it: the id inverted << 3, 4 for a thread, and which time (0 all, 1
// user, 2 all).
static int read_cpu_clock(int clock, u64 *ns)
{
    int id = ~(clock >> 3);
    u64 user, system;

    if (id < 0 || (clock & 3) == 3)
        return -EINVAL;
    if (clock & 4) {
        struct task *t = id ? task_find(id) : current();
        if (!t || t->process != current()->process)
            return -EINVAL;
        sched_account_now();
        user = t->utime_ns;
        system = t->stime_ns;
    } else {
        struct process *p = id ? process_find(id) : current()->process;
        if (!p)
            return -EINVAL;
        process_times(p, &user, &system);
    }
    *ns = (clock & 3) == 1 ? user : user + system;
    return 0;
}

// The value of a clock in ns: 0 or -EINVAL.
static int read_clock(int clock, u64 *ns)
{
    u64 user, system;

    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
        *ns = clock_ns() + clock_realtime_offset();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        *ns = clock_ns();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        process_times(current()->process, &user, &system);
        *ns = user + system;
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        sched_account_now();
        *ns = current()->utime_ns + current()->stime_ns;
        return 0;
    default:
        return clock < 0 ? read_cpu_clock(clock, ns) : -EINVAL;
    }
}

long sys_clock_gettime(int clock, void *tp)
{
    u64 ns;
    int err = read_clock(clock, &ns);

    if (err)
        return err;
    struct __kernel_timespec ts = to_timespec(ns);
    return copy_to_user(tp, &ts, sizeof(ts));
}

long sys_clock_getres(int clock, void *res)
{
    struct __kernel_timespec ts = {0, 1};
    u64 ns;
    int err = read_clock(clock, &ns);

    if (err || !res)
        return err;
    return copy_to_user(res, &ts, sizeof(ts));
}

static long set_realtime(s64 sec, u64 nsec)
{
    if (sec < 0 || nsec >= NSEC_PER_SEC)
        return -EINVAL;
    if (!capable(CAP_SYS_TIME))
        return -EPERM;
    clock_set_realtime_offset(sec * NSEC_PER_SEC + nsec - clock_ns());
    return 0;
}

long sys_clock_settime(int clock, const void *tp)
{
    struct __kernel_timespec ts;

    if (clock != CLOCK_REALTIME)
        return -EINVAL;
    if (copy_from_user(&ts, tp, sizeof(ts)))
        return -EFAULT;
    return set_realtime(ts.tv_sec, ts.tv_nsec);
}

long sys_settimeofday(const void *utv, const void *tz)
{
    struct __kernel_old_timeval tv;

    if (!utv)
        return 0;
    if (copy_from_user(&tv, utv, sizeof(tv)))
        return -EFAULT;
    return set_realtime(tv.tv_sec, tv.tv_usec * NSEC_PER_USEC);
}

long sys_gettimeofday(void *utv, void *tz)
{
    u64 ns = clock_ns() + clock_realtime_offset();
    struct __kernel_old_timeval tv = {ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / NSEC_PER_USEC};
    u64 zone = 0;

    if (utv && copy_to_user(utv, &tv, sizeof(tv)))
        return -EFAULT;
    return tz ? copy_to_user(tz, &zone, sizeof(zone)) : 0;
}

long sys_time(s64 *tloc)
{
    s64 sec = (clock_ns() + clock_realtime_offset()) / NSEC_PER_SEC;

    return tloc && put_user(sec, tloc) ? -EFAULT : sec;
}

// Sleeps until `deadline` of clock_ns. Interrupted: what is left goes to rem (if not NULL), and the
// call can be restarted.
static long sleep_until(u64 deadline, struct __kernel_timespec __user *rem, bool restartable);

static long nanosleep_restart(void)
{
    struct task *t = current();

    return sleep_until(t->restart_ns, (struct __kernel_timespec __user *)t->restart_args[0], true);
}

static long sleep_until(u64 deadline, struct __kernel_timespec __user *rem, bool restartable)
{
    struct task *t = current();
    struct wait_queue nobody;
    long err;

    wait_queue_init(&nobody);
    do
        err = wait_sleep(&nobody, deadline);
    while (!err);
    if (err == -ETIMEDOUT)
        return 0;
    if (!restartable)
        return -ERESTARTNOHAND;
    u64 now = clock_ns();
    struct __kernel_timespec left = to_timespec(deadline > now ? deadline - now : 0);
    if (rem && copy_to_user(rem, &left, sizeof(left)))
        return -EFAULT;
    t->restart = nanosleep_restart;
    t->restart_ns = deadline;
    t->restart_args[0] = (u64)rem;
    return -ERESTART_RESTARTBLOCK;
}

static long read_timespec(const void __user *from, u64 *ns)
{
    struct __kernel_timespec ts;

    if (copy_from_user(&ts, from, sizeof(ts)))
        return -EFAULT;
    if (ts.tv_sec < 0 || (u64)ts.tv_nsec >= NSEC_PER_SEC)
        return -EINVAL;
    u64 sec = min((u64)ts.tv_sec, WAIT_FOREVER / NSEC_PER_SEC / 4);
    *ns = sec * NSEC_PER_SEC + ts.tv_nsec;
    return 0;
}

long sys_nanosleep(const void *req, void *rem)
{
    u64 ns;
    long err = read_timespec(req, &ns);

    return err ? err : sleep_until(clock_ns() + ns, rem, true);
}

long sys_clock_nanosleep(int clock, int flags, const void *req, void *rem)
{
    u64 ns, now;
    long err = read_timespec(req, &ns);

    if (err)
        return err;
    if (read_clock(clock, &now) || clock == CLOCK_THREAD_CPUTIME_ID)
        return -EINVAL;
    if (!(flags & TIMER_ABSTIME))
        return sleep_until(clock_ns() + ns, rem, true);
    bool real = clock == CLOCK_REALTIME || clock == CLOCK_TAI;
    u64 offset = real ? clock_realtime_offset() : 0;
    return sleep_until(ns > offset ? ns - offset : 0, NULL, false);
}

long sys_timerfd_create(int clock, int flags)
{
    return timerfd_new(clock, flags);
}

static long timerfd_from_fd(int fd, struct file **f)
{
    *f = fd_get(fd);
    if (!*f)
        return -EBADF;
    if (is_timerfd(*f))
        return 0;
    file_put(*f);
    return -EINVAL;
}

static long put_itimerspec(struct file *f, void __user *to)
{
    u64 left, interval;

    timerfd_get(f, &left, &interval);
    struct __kernel_itimerspec value = {to_timespec(interval), to_timespec(left)};
    return copy_to_user(to, &value, sizeof(value));
}

long sys_timerfd_gettime(int fd, void *value)
{
    struct file *f;
    long err = timerfd_from_fd(fd, &f);

    if (err)
        return err;
    err = put_itimerspec(f, value);
    file_put(f);
    return err;
}

long sys_timerfd_settime(int fd, int flags, const void *value, void *old)
{
    const struct __kernel_itimerspec __user *from = value;
    u64 left, interval;
    struct file *f;
    long err = read_timespec(&from->it_interval, &interval);

    if (!err)
        err = read_timespec(&from->it_value, &left);
    if (!err)
        err = flags & ~TFD_TIMER_ABSTIME ? -EINVAL : timerfd_from_fd(fd, &f);
    if (err)
        return err;
    if (old)
        err = put_itimerspec(f, old);
    timerfd_set(f, left, interval, flags & TFD_TIMER_ABSTIME);
    file_put(f);
    return err;
}

long sys_times(void *buf)
{
    struct process *p = current()->process;
    u64 user, system;

    process_times(p, &user, &system);
    struct tms t = {
        .tms_utime = user / CLOCK_TICK_NS,
        .tms_stime = system / CLOCK_TICK_NS,
        .tms_cutime = p->child_utime_ns / CLOCK_TICK_NS,
        .tms_cstime = p->child_stime_ns / CLOCK_TICK_NS,
    };
    if (buf && copy_to_user(buf, &t, sizeof(t)))
        return -EFAULT;
    return clock_ns() / CLOCK_TICK_NS;
}

long sys_sysinfo(void *info)
{
    struct sysinfo si;
    struct task *t;

    memset(&si, 0, sizeof(si));
    si.uptime = clock_ns() / NSEC_PER_SEC;
    si.totalram = frame_total() * PAGE_SIZE;
    si.freeram = frame_free_count() * PAGE_SIZE;
    si.mem_unit = 1;
    loadavg(si.loads); // both count in 1/65536
    list_for_each (t, &all_tasks, all_link)
        si.procs++;
    return copy_to_user(info, &si, sizeof(si));
}
