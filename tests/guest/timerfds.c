/* Timers and signals that are read: timerfd_create(2), signalfd(2). */
#include "tests/guest/test.h"
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static const struct itimerspec stopped;

static struct itimerspec after(long ms, long interval_ms)
{
    struct itimerspec t = {{interval_ms / 1000, interval_ms % 1000 * 1000000},
                           {ms / 1000, ms % 1000 * 1000000}};
    return t;
}

static int readable(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents == POLLIN;
}

TEST(timer_is_readable_once_it_has_run_out)
{
    uint64_t ticks;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec t = after(30, 0), left;
    CHECK(fd >= 0);
    CHECK_EQ(readable(fd), 0);
    long long start = now_ms();
    CHECK_OK(timerfd_settime(fd, 0, &t, NULL));
    CHECK_OK(timerfd_gettime(fd, &left));
    CHECK(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 30000000);
    CHECK_EQ(read(fd, &ticks, sizeof ticks), sizeof ticks);
    CHECK_EQ(ticks, 1);
    CHECK(now_ms() - start >= 29);
    CHECK_EQ(readable(fd), 0);
    CHECK_OK(timerfd_gettime(fd, &left));
    CHECK_EQ(left.it_value.tv_sec + left.it_value.tv_nsec, 0);
    CHECK_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
    CHECK_ERR(read(fd, &ticks, sizeof ticks), EAGAIN);
    CHECK_ERR(read(fd, &ticks, 4), EINVAL);
}

TEST(intervals_that_nobody_read_are_counted)
{
    uint64_t ticks, more;
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec t = after(10, 10), old;
    CHECK_OK(timerfd_settime(fd, 0, &t, NULL));
    sleep_ms(55);
    CHECK_EQ(read(fd, &ticks, sizeof ticks), sizeof ticks);
    CHECK(ticks >= 5);
    CHECK_EQ(read(fd, &more, sizeof more), sizeof more);
    CHECK(more >= 1);
    CHECK_OK(timerfd_settime(fd, 0, &stopped, &old));
    CHECK_EQ(old.it_interval.tv_nsec, 10000000);
    CHECK(old.it_value.tv_nsec > 0);
    sleep_ms(20);
    CHECK_EQ(readable(fd), 0);
}

TEST(shortest_interval_does_not_stop_the_machine)
{
    uint64_t ticks;
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec t = {{0, 1}, {0, 1}};
    CHECK_OK(timerfd_settime(fd, 0, &t, NULL));
    sleep_ms(5);
    CHECK_EQ(read(fd, &ticks, sizeof ticks), sizeof ticks);
    CHECK(ticks > 1000000);
}

TEST(moments_are_of_the_timers_own_clock)
{
    static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    for (int n = 0; n < 3; n++) {
        uint64_t ticks;
        int fd = timerfd_create(clocks[n], 0);
        struct itimerspec t = {0};
        CHECK_OK(clock_gettime(clocks[n], &t.it_value));
        long long start = now_ms();
        t.it_value.tv_nsec += 20000000;
        if (t.it_value.tv_nsec >= 1000000000) {
            t.it_value.tv_sec++;
            t.it_value.tv_nsec -= 1000000000;
        }
        CHECK_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL));
        CHECK_EQ(read(fd, &ticks, sizeof ticks), sizeof ticks);
        CHECK(now_ms() - start >= 18);
        t.it_value.tv_sec = 1; /* long ago */
        CHECK_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL));
        CHECK_EQ(read(fd, &ticks, sizeof ticks), sizeof ticks);
    }
}

TEST(wrong_timers_are_refused)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec t = after(1, 0);
    CHECK_ERR(timerfd_create(77, 0), EINVAL);
    CHECK_ERR(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    CHECK_ERR(timerfd_settime(0, 0, &t, NULL), EINVAL);
    CHECK_ERR(timerfd_settime(99, 0, &t, NULL), EBADF);
    t.it_value.tv_nsec = 1000000000;
    CHECK_ERR(timerfd_settime(fd, 0, &t, NULL), EINVAL);
    CHECK_ERR(write(fd, &t, 8), EINVAL);
}

TEST(epoll_waits_for_a_timer)
{
    uint64_t ticks;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), ep = epoll_create1(0);
    struct itimerspec t = after(10, 10);
    struct epoll_event ev = {EPOLLIN | EPOLLET, {.fd = fd}};
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
    CHECK_OK(timerfd_settime(fd, 0, &t, NULL));
    for (int n = 0; n < 3; n++) {
        CHECK_EQ(epoll_wait(ep, &ev, 1, -1), 1);
        CHECK_EQ(read(fd, &ticks, sizeof ticks), sizeof ticks);
    }
}

static int watch(int first, int second, int flags)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, first);
    sigaddset(&set, second);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    int fd = signalfd(-1, &set, flags);
    CHECK(fd >= 0);
    return fd;
}

TEST(blocked_signals_are_read)
{
    struct signalfd_siginfo in[4];
    int fd = watch(SIGUSR1, SIGUSR2, SFD_NONBLOCK | SFD_CLOEXEC);
    CHECK_ERR(read(fd, in, sizeof in), EAGAIN);
    CHECK_EQ(readable(fd), 0);
    CHECK_OK(kill(getpid(), SIGUSR2));
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(readable(fd), 1);
    CHECK_EQ(read(fd, in, sizeof in), 2 * sizeof *in);
    CHECK_EQ(in[0].ssi_signo + in[1].ssi_signo, SIGUSR1 + SIGUSR2);
    CHECK_EQ(in[0].ssi_pid, getpid());
    CHECK_EQ(in[0].ssi_uid, getuid());
    CHECK_EQ(readable(fd), 0);
    CHECK_ERR(read(fd, in, sizeof *in - 1), EINVAL);
}

TEST(reader_and_epoll_wait_for_a_signal)
{
    struct signalfd_siginfo in;
    int fd = watch(SIGUSR1, SIGCHLD, 0), ep = epoll_create1(0);
    struct epoll_event ev = {EPOLLIN, {.fd = fd}};
    pid_t me = getpid();
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
    for (int n = 0; n < 2; n++) {
        if (spawn() == 0) {
            sleep_ms(20);
            _exit(kill(me, SIGUSR1));
        }
        if (n)
            CHECK_EQ(epoll_wait(ep, &ev, 1, -1), 1);
        CHECK_EQ(read(fd, &in, sizeof in), sizeof in);
        CHECK_EQ(in.ssi_signo, SIGUSR1);
        CHECK_EQ(in.ssi_pid, last_child);
        CHECK_EQ(read(fd, &in, sizeof in), sizeof in);
        CHECK_EQ(in.ssi_signo, SIGCHLD);
        CHECK_EQ(in.ssi_pid, last_child);
        CHECK_EQ(in.ssi_status, 0);
        CHECK_EQ(reap(), 0);
    }
}

TEST(queued_values_arrive_in_order_and_the_mask_can_change)
{
    struct signalfd_siginfo in;
    int fd = watch(SIGRTMIN, SIGUSR2, SFD_NONBLOCK);
    for (int n = 1; n <= 3; n++)
        CHECK_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = n}));
    for (int n = 1; n <= 3; n++) {
        CHECK_EQ(read(fd, &in, sizeof in), sizeof in);
        CHECK_EQ(in.ssi_int, n);
        CHECK_EQ(in.ssi_code, SI_QUEUE);
    }
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGUSR2);
    CHECK_EQ(signalfd(fd, &only, 0), fd);
    CHECK_OK(raise(SIGRTMIN));
    CHECK_EQ(readable(fd), 0);
    CHECK_OK(raise(SIGUSR2));
    CHECK_EQ(readable(fd), 1);
    CHECK_ERR(signalfd(0, &only, 0), EINVAL);
    CHECK_ERR(signalfd(99, &only, 0), EBADF);
    CHECK_ERR(signalfd(-1, &only, 1), EINVAL);
}
