/* Pipes and FIFOs, and waiting for several descriptors at once. */
#include "tests/guest/test.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/syscall.h>

#define PIPE_BUF_SIZE 4096
static char block[1 << 20];

TEST(pipe_carries_bytes_in_order)
{
    int fds[2], status;
    CHECK_OK(pipe(fds));
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (char)(i * 31 >> 3);
        _exit(write(fds[1], block, sizeof block) != sizeof block);
    }
    close(fds[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(fds[0], block + length, sizeof block - length)) > 0)
        length += (size_t)got;
    CHECK_EQ(length, sizeof block);
    for (size_t i = 0; i < sizeof block; i++)
        if (block[i] != (char)(i * 31 >> 3))
            FAIL("byte %zu", i);
    CHECK_EQ(read(fds[0], block, 1), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

TEST(empty_pipe_waits_and_ends_with_its_last_writer)
{
    char byte;
    int fds[2];
    CHECK_OK(pipe(fds));
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        sleep_ms(40);
        _exit(0);
    }
    close(fds[1]);
    long long start = now_ms();
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    CHECK(now_ms() - start >= 20);
}

TEST(full_pipe_refuses_without_blocking)
{
    int fds[2], size;
    CHECK_OK(pipe2(fds, O_NONBLOCK));
    ssize_t wrote, total = 0;
    while ((wrote = write(fds[1], block, 4096)) > 0)
        total += wrote;
    CHECK_ERR(write(fds[1], block, 1), EAGAIN);
    CHECK(total >= 4096 && total % 4096 == 0);
    CHECK_OK(ioctl(fds[0], FIONREAD, &size));
    CHECK_EQ(size, total);
    CHECK_EQ(read(fds[0], block, 4096), 4096);
    CHECK_EQ(write(fds[1], block, 4096), 4096);
    CHECK_ERR(write(fds[1], block, 4096), EAGAIN);
}

TEST(small_writes_are_not_torn)
{
    int fds[2];
    CHECK_OK(pipe(fds));
    for (int writer = 0; writer < 4; writer++)
        if (fork() == 0) {
            close(fds[0]);
            memset(block, 'a' + writer, 1000);
            for (int i = 0; i < 50; i++)
                CHECK_EQ(write(fds[1], block, 1000), 1000);
            _exit(0);
        }
    close(fds[1]);
    FILE *in = fdopen(fds[0], "r");
    int records = 0;
    while (fread(block, 1, 1000, in) == 1000) {
        records++;
        for (int i = 1; i < 1000; i++)
            CHECK_EQ(block[i], block[0]);
    }
    CHECK_EQ(records, 200);
}

TEST(pipe_ends_have_one_direction)
{
    int fds[2];
    CHECK_OK(pipe(fds));
    CHECK_ERR(write(fds[0], "x", 1), EBADF);
    CHECK_ERR(read(fds[1], block, 1), EBADF);
    CHECK_ERR(pipe2(fds, 0x7777777), EINVAL);
}

TEST(fifo_waits_for_both_ends)
{
    int status;
    enter_scratch();
    CHECK_OK(mkfifo("p", 0600));
    CHECK_ERR(open("p", O_WRONLY | O_NONBLOCK), ENXIO);
    pid_t pid = fork();
    if (pid == 0) {
        int out = open("p", O_WRONLY);
        _exit(out < 0 || write(out, "through", 7) != 7);
    }
    int in = open("p", O_RDONLY);
    CHECK(in >= 0);
    CHECK_EQ(read(in, block, 100), 7);
    CHECK_EQ(memcmp(block, "through", 7), 0);
    CHECK_EQ(read(in, block, 100), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK(open("p", O_RDONLY | O_NONBLOCK) >= 0);
}

TEST(poll_tells_readable_writable_and_hung_up)
{
    int fds[2];
    CHECK_OK(pipe(fds));
    struct pollfd polled[3] = {{fds[0], POLLIN, 0}, {fds[1], POLLOUT, 0}, {-1, POLLIN, 0}};
    CHECK_EQ(poll(polled, 3, 0), 1);
    CHECK_EQ(polled[0].revents, 0);
    CHECK_EQ(polled[1].revents, POLLOUT);
    CHECK_EQ(polled[2].revents, 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(poll(polled, 2, -1), 2);
    CHECK_EQ(polled[0].revents, POLLIN);
    CHECK_EQ(read(fds[0], block, 10), 1);
    close(fds[1]);
    CHECK_EQ(poll(polled, 1, -1), 1);
    CHECK_EQ(polled[0].revents, POLLHUP);
    polled[0].fd = 999;
    CHECK_EQ(poll(polled, 1, 0), 1);
    CHECK_EQ(polled[0].revents, POLLNVAL);
    CHECK_OK(pipe(fds));
    close(fds[0]);
    polled[1].fd = fds[1];
    CHECK_EQ(poll(polled + 1, 1, 0), 1);
    CHECK(polled[1].revents & POLLERR);
}

TEST(poll_waits_for_its_time_and_no_longer)
{
    int fds[2];
    CHECK_OK(pipe(fds));
    struct pollfd polled = {fds[0], POLLIN, 0};
    long long start = now_ms();
    CHECK_EQ(poll(&polled, 1, 60), 0);
    CHECK(now_ms() - start >= 59);
    if (fork() == 0) {
        sleep_ms(40);
        _exit(write(fds[1], "x", 1) != 1);
    }
    start = now_ms();
    CHECK_EQ(poll(&polled, 1, 10000), 1);
    CHECK(now_ms() - start < 5000);
    CHECK_EQ(poll(NULL, 0, 10), 0);
}

TEST(select_works_on_sets)
{
    int fds[2];
    fd_set in, out;
    CHECK_OK(pipe(fds));
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(fds[0], &in);
    FD_SET(fds[1], &out);
    struct timeval wait = {0, 50000};
    CHECK_EQ(select(fds[1] + 1, &in, &out, NULL, &wait), 1);
    CHECK(!FD_ISSET(fds[0], &in) && FD_ISSET(fds[1], &out));
    FD_SET(fds[0], &in);
    CHECK_EQ(select(fds[0] + 1, &in, NULL, NULL, &wait), 0);
    CHECK(!FD_ISSET(fds[0], &in));
    CHECK_EQ(write(fds[1], "x", 1), 1);
    FD_SET(fds[0], &in);
    CHECK_EQ(select(fds[0] + 1, &in, NULL, NULL, NULL), 1);
    CHECK(FD_ISSET(fds[0], &in));
    close(fds[1]);
    FD_SET(fds[1], &in);
    CHECK_ERR(select(fds[1] + 1, &in, NULL, NULL, &wait), EBADF);
    CHECK_ERR(select(-1, NULL, NULL, NULL, &wait), EINVAL);
    struct timespec brief = {0, 1000000};
    CHECK_EQ(pselect(0, NULL, NULL, NULL, &brief, NULL), 0);
}

static void nothing(int sig)
{
}

TEST(ppoll_opens_the_mask_while_it_waits)
{
    sigset_t block_usr1, none;
    sigemptyset(&none);
    sigemptyset(&block_usr1);
    sigaddset(&block_usr1, SIGUSR1);
    struct sigaction act = {.sa_handler = nothing};
    sigaction(SIGUSR1, &act, NULL);
    sigprocmask(SIG_BLOCK, &block_usr1, NULL);
    raise(SIGUSR1);
    struct timespec wait = {5, 0};
    CHECK_EQ(poll(NULL, 0, 5), 0);
    CHECK_ERR(ppoll(NULL, 0, &wait, &none), EINTR);
    CHECK_EQ(ppoll(NULL, 0, &(struct timespec){0, 1000}, &block_usr1), 0);
}

TEST(regular_files_are_always_ready)
{
    enter_scratch();
    struct pollfd polled = {open("f", O_RDWR | O_CREAT, 0600), POLLIN | POLLOUT, 0};
    CHECK_EQ(poll(&polled, 1, -1), 1);
    CHECK_EQ(polled.revents, POLLIN | POLLOUT);
}

TEST(eventfd_counts)
{
    eventfd_t value;
    int fd = eventfd(3, EFD_NONBLOCK);
    CHECK(fd >= 0);
    CHECK_OK(eventfd_write(fd, 4));
    CHECK_OK(eventfd_read(fd, &value));
    CHECK_EQ(value, 7);
    CHECK_ERR(eventfd_read(fd, &value), EAGAIN);
    struct pollfd polled = {fd, POLLIN | POLLOUT, 0};
    CHECK_EQ(poll(&polled, 1, 0), 1);
    CHECK_EQ(polled.revents, POLLOUT);
    CHECK_OK(eventfd_write(fd, 0xfffffffffffffffe));
    CHECK_ERR(eventfd_write(fd, 1), EAGAIN);
    CHECK_ERR(write(fd, &value, 4), EINVAL);
    int semaphore = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    CHECK_OK(eventfd_read(semaphore, &value));
    CHECK_EQ(value, 1);
    CHECK_OK(eventfd_read(semaphore, &value));
    CHECK_ERR(eventfd_read(semaphore, &value), EAGAIN);
}

TEST(epoll_reports_levels_and_edges)
{
    int fds[2], epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 42}, got[4];
    CHECK_OK(pipe(fds));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    CHECK_ERR(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event), EEXIST);
    CHECK_EQ(epoll_wait(epoll, got, 4, 0), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(epoll_wait(epoll, got, 4, 1000), 1);
        CHECK_EQ(got[0].events, EPOLLIN);
        CHECK_EQ(got[0].data.u64, 42);
    }
    event.events = EPOLLIN | EPOLLET;
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, fds[0], &event));
    CHECK_EQ(epoll_wait(epoll, got, 4, 1000), 1);
    CHECK_EQ(epoll_wait(epoll, got, 4, 0), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(epoll_wait(epoll, got, 4, 0), 1);
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_DEL, fds[0], NULL));
    CHECK_ERR(epoll_ctl(epoll, EPOLL_CTL_DEL, fds[0], NULL), ENOENT);
    CHECK_ERR(epoll_ctl(epoll, EPOLL_CTL_MOD, fds[0], &event), ENOENT);
    CHECK_ERR(epoll_wait(epoll, got, 0, 0), EINVAL);
    CHECK_ERR(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event), EINVAL);
    CHECK_ERR(epoll_wait(fds[0], got, 4, 0), EINVAL);
    event.events = EPOLLIN | EPOLLONESHOT;
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    CHECK_EQ(epoll_wait(epoll, got, 4, 0), 1);
    CHECK_EQ(epoll_wait(epoll, got, 4, 0), 0);
}
