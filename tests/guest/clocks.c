/* Time: clocks, sleeping, timers, and the time that processes use. */
#include "tests/guest/test.h"
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>

static long long nanoseconds(clockid_t clock)
{
    struct timespec now;
    CHECK_OK(clock_gettime(clock, &now));
    CHECK(now.tv_nsec >= 0 && now.tv_nsec < 1000000000);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

TEST(monotonic_clock_never_goes_back)
{
    long long last = nanoseconds(CLOCK_MONOTONIC), start = last;
    for (int i = 0; i < 20000; i++) {
        long long now = nanoseconds(CLOCK_MONOTONIC);
        if (now < last)
            FAIL("went back by %lld ns", last - now);
        last = now;
    }
    CHECK(last > start);
}

TEST(clocks_agree_with_each_other)
{
    struct timeval tv;
    CHECK_OK(gettimeofday(&tv, NULL));
    long long real = nanoseconds(CLOCK_REALTIME);
    CHECK(llabs(real / 1000 - (tv.tv_sec * 1000000LL + tv.tv_usec)) < 1000000);
    CHECK(llabs((long long)time(NULL) - real / 1000000000) <= 1);
    CHECK(time(NULL) > 1600000000);
    CHECK(llabs(nanoseconds(CLOCK_BOOTTIME) - nanoseconds(CLOCK_MONOTONIC)) < 1000000000000000LL);
    CHECK(llabs(nanoseconds(CLOCK_MONOTONIC_COARSE) - nanoseconds(CLOCK_MONOTONIC)) < 100000000);
    struct timespec resolution;
    CHECK_OK(clock_getres(CLOCK_MONOTONIC, &resolution));
    CHECK(resolution.tv_sec == 0 && resolution.tv_nsec >= 1);
    CHECK_ERR(clock_gettime(77, &resolution), EINVAL);
    CHECK_ERR(clock_getres(77, &resolution), EINVAL);
}

TEST(nanosleep_sleeps_at_least_that_long)
{
    static const long lengths[] = {1, 1000, 1000000, 20000000};
    for (int i = 0; i < 4; i++) {
        struct timespec want = {0, lengths[i]};
        long long start = nanoseconds(CLOCK_MONOTONIC);
        CHECK_OK(nanosleep(&want, NULL));
        long long slept = nanoseconds(CLOCK_MONOTONIC) - start;
        if (slept < lengths[i] || slept > lengths[i] + 1000000000)
            FAIL("%ld ns took %lld ns", lengths[i], slept);
    }
    struct timespec bad = {0, 1000000000};
    CHECK_ERR(nanosleep(&bad, NULL), EINVAL);
    bad = (struct timespec){-1, 0};
    CHECK_ERR(nanosleep(&bad, NULL), EINVAL);
}

TEST(clock_nanosleep_can_wait_for_a_moment)
{
    struct timespec until;
    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &until));
    CHECK_OK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    long long start = nanoseconds(CLOCK_MONOTONIC);
    until.tv_nsec += 30000000;
    if (until.tv_nsec >= 1000000000)
        until.tv_sec++, until.tv_nsec -= 1000000000;
    CHECK_OK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    CHECK(nanoseconds(CLOCK_MONOTONIC) - start >= 20000000);
    CHECK_EQ(clock_nanosleep(77, 0, &until, NULL), EINVAL);
}

TEST(many_sleepers_wake_in_order)
{
    int fds[2];
    char order[6] = "";
    CHECK_OK(pipe(fds));
    for (int i = 4; i >= 0; i--)
        if (fork() == 0) {
            sleep_ms(50 + i * 60);
            char letter = (char)('a' + i);
            _exit(write(fds[1], &letter, 1) != 1);
        }
    for (int i = 0; i < 5; i++)
        CHECK_EQ(read(fds[0], order + i, 1), 1);
    CHECK_STR(order, "abcde");
}

static volatile int ticks;
static void tick(int sig)
{
    ticks++;
}

TEST(interval_timer_repeats)
{
    signal(SIGALRM, tick);
    struct itimerval timer = {{0, 10000}, {0, 10000}}, old;
    CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
    while (ticks < 5)
        pause();
    timer = (struct itimerval){0};
    CHECK_OK(setitimer(ITIMER_REAL, &timer, &old));
    CHECK_EQ(old.it_interval.tv_usec, 10000);
    int before = ticks;
    sleep_ms(40);
    CHECK_EQ(ticks, before);
    timer.it_value.tv_usec = 1000000;
    CHECK_ERR(setitimer(ITIMER_REAL, &timer, NULL), EINVAL);
    CHECK_ERR(setitimer(9, &timer, NULL), EINVAL);
}

TEST(cpu_time_counts_work_and_not_sleep)
{
    struct rusage usage;
    struct tms tms;
    long long cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    sleep_ms(50);
    long long slept = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    CHECK(slept < 40000000);
    long long start = now_ms();
    while (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu - slept < 50000000)
        CHECK(now_ms() - start < 15000); /* working makes it go on */
    CHECK(now_ms() - start >= 49);
    CHECK(nanoseconds(CLOCK_THREAD_CPUTIME_ID) > 10000000);
    CHECK_OK(getrusage(RUSAGE_SELF, &usage));
    CHECK(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec +
              usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec >
          10000);
    CHECK_OK(getrusage(RUSAGE_CHILDREN, &usage));
    CHECK_ERR(getrusage(55, &usage), EINVAL);
    CHECK(times(&tms) != (clock_t)-1);
}

TEST(cpu_clocks_of_others_can_be_read)
{
    struct timespec now;
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            ;
    clockid_t clock = ~pid * 8 + 2; /* as clock_getcpuclockid makes it */
    long long start = now_ms();
    do {
        CHECK_OK(clock_gettime(clock, &now));
        CHECK(now_ms() - start < 15000);
    } while (now.tv_sec == 0 && now.tv_nsec < 10000000);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK_ERR(clock_gettime(clock, &now), EINVAL);
    CHECK_OK(clock_gettime(-8 + 6, &now));           /* this thread's */
    CHECK_ERR(clock_gettime(-16 + 6, &now), EINVAL); /* a thread of another process */
}

TEST(sysinfo_describes_the_machine)
{
    struct sysinfo info;
    CHECK_OK(sysinfo(&info));
    CHECK(info.uptime >= 0 && info.mem_unit >= 1 && info.procs >= 1);
    CHECK(info.totalram * info.mem_unit > 16 << 20);
    CHECK(info.freeram <= info.totalram);
    CHECK(llabs((long long)info.uptime - nanoseconds(CLOCK_BOOTTIME) / 1000000000) <= 1);
}
