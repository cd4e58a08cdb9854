// Kernel threads that wake, wait, spin and end, on all CPUs. Run by viv.test=sched.

#include "kernel/task/selftest.h"
#include <linux/errno.h>
#include "kernel/mm/slab.h"
#include "kernel/task/sched.h"
#include "kernel/task/task.h"
#include "kernel/task/timer.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/log.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/power.h"

#define ROUNDS 1000
#define SPINNERS 6
#define SPIN_NS (300 * NSEC_PER_MSEC)

static struct wait_queue turn_changed, all_done;
static int turn, done;

static void finish(void)
{
    done++;
    wake_all(&all_done);
}

static void wait_for(int n)
{
    while (done < n)
        wait_sleep_forever(&all_done);
    done = 0;
}

static void ping(void *arg)
{
    int me = (long)arg;

    for (int i = 0; i < ROUNDS; i++) {
        while (turn != me)
            wait_sleep_forever(&turn_changed);
        turn = !me;
        wake_all(&turn_changed);
    }
    finish();
}

static void two_threads_take_turns(void)
{
    u64 start = clock_ns();

    kthread_create("ping", ping, (void *)0L);
    kthread_create("pong", ping, (void *)1L);
    wait_for(2);
    kprintf("sched: a switch by wake and sleep takes %lu ns\n",
            (clock_ns() - start) / (2 * ROUNDS));
}

static void sleeps_end_in_time(void)
{
    struct wait_queue nobody;
    u64 start = clock_ns();

    wait_queue_init(&nobody);
    for (int i = 1; i <= 20; i++) {
        u64 deadline = start + i * 3 * NSEC_PER_MSEC;
        int err = wait_sleep(&nobody, deadline);
        u64 late = clock_ns() - deadline;
        assert(err == -ETIMEDOUT && (s64)late >= 0);
        if (late > 50 * NSEC_PER_MSEC)
            kprintf("sched: a sleep ended %lu us late\n", late / NSEC_PER_USEC);
    }
}

static u64 spun_ns[SPINNERS];
static u32 cpus_used;

static void spin(void *arg)
{
    u64 end = clock_ns() + SPIN_NS;

    while (clock_ns() < end) {
        cpus_used |= 1u << this_cpu()->id;
        for (volatile int i = 0; i < 1000; i++)
            ;
        cond_resched();
    }
    sched_account_now();
    spun_ns[(long)arg] = current()->utime_ns + current()->stime_ns;
    finish();
}

static void spinners_share_all_cpus(void)
{
    u64 least = UINT64_MAX, most = 0;

    for (long i = 0; i < SPINNERS; i++)
        kthread_create("spin", spin, (void *)i);
    wait_for(SPINNERS);
    for (int i = 0; i < SPINNERS; i++) {
        least = min(least, spun_ns[i]);
        most = max(most, spun_ns[i]);
    }
    kprintf("sched: spinners got %lu to %lu us on CPUs 0x%x\n", least / NSEC_PER_USEC,
            most / NSEC_PER_USEC, cpus_used);
    assert(cpus_used == (1u << cpu_count()) - 1);
    // Spinning in the kernel they take the kernel lock in turns: only on one CPU is that the
    // scheduler's doing.
    assert(cpu_count() > 1 || most < 4 * least);
}

static void nothing(void *arg)
{
    finish();
}

static void ended_threads_leave_nothing(void)
{
    u64 used = 0;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++)
            assert(kthread_create("nothing", nothing, NULL));
        wait_for(50);
        cond_resched();
        if (round == 1)
            used = slab_bytes_used();
    }
    assert(slab_bytes_used() <= used + 16384);
}

static void run(void *arg)
{
    two_threads_take_turns();
    sleeps_end_in_time();
    spinners_share_all_cpus();
    ended_threads_leave_nothing();
    kprintf("sched: all passed\n");
    power_off(0);
}

void sched_selftest(void)
{
    wait_queue_init(&turn_changed);
    wait_queue_init(&all_done);
    assert(kthread_create("selftest", run, NULL));
}
