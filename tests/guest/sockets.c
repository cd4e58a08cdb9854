/* Sockets of the local machine: streams, names, connections, options. unix(7). */
#include "tests/guest/socket_lib.h"
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/time.h>

static void quiet_pipes(void)
{
    signal(SIGPIPE, SIG_IGN);
}

TEST(stream_pair_carries_bytes_both_ways)
{
    int fds[2];
    pair(SOCK_STREAM, fds);
    CHECK_EQ(write(fds[0], "there", 5), 5);
    CHECK_EQ(write(fds[1], "back", 4), 4);
    CHECK_EQ(write(fds[0], " again", 6), 6);
    CHECK_EQ(read(fds[1], block, 100), 11);
    CHECK_EQ(memcmp(block, "there again", 11), 0);
    CHECK_EQ(read(fds[0], block, 2), 2);
    CHECK_EQ(read(fds[0], block + 2, 100), 2);
    CHECK_EQ(memcmp(block, "back", 4), 0);
    CHECK_EQ(recv(fds[0], block, 1, MSG_DONTWAIT), -1);
    CHECK_EQ(errno, EAGAIN);
}

TEST(stream_waits_for_room_and_for_data)
{
    int fds[2], status;
    pair(SOCK_STREAM, fds);
    pid_t pid = spawn();
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
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

TEST(full_stream_refuses_without_blocking)
{
    int fds[2], queued;
    pair(SOCK_STREAM | SOCK_NONBLOCK, fds);
    ssize_t wrote, total = 0;
    while ((wrote = write(fds[0], block, 5000)) > 0)
        total += wrote;
    CHECK_EQ(errno, EAGAIN);
    CHECK(total > 65536);
    CHECK_EQ(ready(fds[0]), 0);
    CHECK_OK(ioctl(fds[1], FIONREAD, &queued));
    CHECK_EQ(queued, total);
    while (total > 0)
        total -= read(fds[1], block, sizeof block);
    CHECK_EQ(total, 0);
    CHECK_EQ(ready(fds[0]), POLLOUT);
}

TEST(peek_leaves_and_waitall_fills)
{
    int fds[2];
    pair(SOCK_STREAM, fds);
    CHECK_EQ(send(fds[0], "abc", 3, 0), 3);
    CHECK_EQ(send(fds[0], "def", 3, 0), 3);
    CHECK_EQ(recv(fds[1], block, 100, MSG_PEEK), 6);
    CHECK_EQ(memcmp(block, "abcdef", 6), 0);
    if (spawn() == 0) {
        sleep_ms(20);
        _exit(write(fds[0], "ghi", 3) != 3);
    }
    CHECK_EQ(recv(fds[1], block, 8, MSG_WAITALL), 8);
    CHECK_EQ(memcmp(block, "abcdefgh", 8), 0);
    CHECK_EQ(reap(), 0);
    close(fds[0]);
    CHECK_EQ(recv(fds[1], block, 8, MSG_WAITALL), 1);
    CHECK_EQ(recv(fds[1], block, 8, MSG_WAITALL), 0);
}

TEST(closed_end_is_the_end_and_breaks_the_pipe)
{
    int fds[2];
    char byte;
    pair(SOCK_STREAM, fds);
    CHECK_EQ(write(fds[0], "x", 1), 1);
    close(fds[0]);
    CHECK_EQ(ready(fds[1]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
    CHECK_EQ(read(fds[1], &byte, 1), 1);
    CHECK_EQ(read(fds[1], &byte, 1), 0);
    CHECK_ERR(send(fds[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHILD_PASSES(quiet_pipes(); CHECK_ERR(write(fds[1], "x", 1), EPIPE));
    int status;
    IN_CHILD(status, write(fds[1], "x", 1));
    CHECK_EQ(status, SIGPIPE);
}

TEST(data_lost_by_a_close_is_an_error_once)
{
    int fds[2], error;
    socklen_t length = sizeof error;
    char byte;
    pair(SOCK_STREAM, fds);
    CHECK_EQ(write(fds[1], "never read", 10), 10);
    close(fds[0]);
    CHECK(ready(fds[1]) & POLLERR);
    CHECK_ERR(read(fds[1], &byte, 1), ECONNRESET);
    CHECK_EQ(read(fds[1], &byte, 1), 0);
    CHECK_OK(getsockopt(fds[1], SOL_SOCKET, SO_ERROR, &error, &length));
    CHECK_EQ(error, 0);
}

TEST(shutdown_closes_one_direction)
{
    int fds[2];
    char byte;
    quiet_pipes();
    pair(SOCK_STREAM, fds);
    CHECK_EQ(write(fds[0], "x", 1), 1);
    CHECK_OK(shutdown(fds[0], SHUT_WR));
    CHECK_ERR(write(fds[0], "y", 1), EPIPE);
    CHECK_EQ(ready(fds[1]), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_EQ(read(fds[1], &byte, 1), 1);
    CHECK_EQ(read(fds[1], &byte, 1), 0);
    CHECK_EQ(write(fds[1], "z", 1), 1);
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_OK(shutdown(fds[0], SHUT_RD));
    CHECK_ERR(write(fds[1], "z", 1), EPIPE);
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    CHECK_ERR(shutdown(fds[0], 3), EINVAL);
}

TEST(shutdown_wakes_a_reader)
{
    int fds[2];
    char byte;
    pair(SOCK_STREAM, fds);
    if (spawn() == 0) {
        sleep_ms(20);
        _exit(shutdown(fds[1], SHUT_RDWR) != 0);
    }
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    CHECK_EQ(reap(), 0);
}

TEST(connection_is_made_by_name)
{
    struct sockaddr_un from;
    socklen_t length = sizeof from;
    struct stat st;
    char text[8];
    enter_scratch();
    int fd = listener(SOCK_STREAM, "s", 5);
    CHECK_OK(stat("s", &st));
    CHECK(S_ISSOCK(st.st_mode));
    CHECK_ERR(open("s", O_RDWR), ENXIO);
    int client = local(SOCK_STREAM);
    CHECK_EQ(ready(client), POLLOUT | POLLHUP);
    CHECK_EQ(ready(fd), 0);
    CHECK_OK(connect_to(client, "s"));
    CHECK_ERR(connect_to(client, "s"), EISCONN);
    CHECK_EQ(ready(fd), POLLIN);
    CHECK_EQ(write(client, "early", 5), 5);
    int server = accept4(fd, (struct sockaddr *)&from, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    CHECK(server >= 0);
    CHECK_EQ(length, sizeof from.sun_family);
    CHECK_EQ(fcntl(server, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(server, F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_EQ(read(server, text, 8), 5);
    CHECK_ERR(read(server, text, 8), EAGAIN);
    length = sizeof from;
    CHECK_OK(getpeername(client, (struct sockaddr *)&from, &length));
    CHECK_EQ(length, 4);
    CHECK_STR(from.sun_path, "s");
    length = sizeof from;
    CHECK_OK(getsockname(server, (struct sockaddr *)&from, &length));
    CHECK_EQ(length, 4);
    CHECK_OK(unlink("s"));
    CHECK_ERR(connect_to(local(SOCK_STREAM), "s"), ENOENT);
}

TEST(nobody_listens_is_refused)
{
    enter_scratch();
    int fd = local(SOCK_STREAM), other = local(SOCK_STREAM);
    CHECK_OK(bind_to(fd, "s"));
    CHECK_ERR(connect_to(other, "s"), ECONNREFUSED);
    CHECK_ERR(bind_to(other, "s"), EADDRINUSE);
    CHECK_ERR(bind_to(fd, "t"), EINVAL);
    CHECK_OK(listen(fd, 1));
    CHECK_ERR(connect_to(local(SOCK_DGRAM), "s"), EPROTOTYPE);
    CHECK_ERR(connect_to(local(SOCK_SEQPACKET), "s"), EPROTOTYPE);
    close(fd);
    CHECK_ERR(connect_to(other, "s"), ECONNREFUSED);
    CHECK_OK(write_file("plain", "text"));
    CHECK_ERR(connect_to(other, "plain"), ECONNREFUSED);
    CHECK_ERR(connect_to(other, "none"), ENOENT);
    CHECK_ERR(bind_to(other, "no/dir"), ENOENT);
    CHECK_ERR(accept(other, NULL, NULL), EINVAL);
    CHECK_ERR(listen(other, 1), EINVAL);
    CHECK_ERR(write(other, "x", 1), ENOTCONN);
    CHECK_ERR(read(other, block, 1), EINVAL);
}

TEST(connecting_needs_permission_to_write)
{
    if (geteuid())
        SKIP("needs root");
    enter_scratch();
    listener(SOCK_STREAM, "s", 5);
    CHECK_OK(chmod(".", 0777));
    CHECK_OK(chmod("s", 0755));
    CHILD_PASSES(CHECK_OK(setuid(1000)); CHECK_ERR(connect_to(local(SOCK_STREAM), "s"), EACCES));
    CHECK_OK(chmod("s", 0777));
    CHILD_PASSES(CHECK_OK(setuid(1000)); CHECK_OK(connect_to(local(SOCK_STREAM), "s")));
}

TEST(abstract_names_need_no_file)
{
    struct sockaddr_un who;
    socklen_t length = sizeof who;
    char text[40];
    snprintf(text, sizeof text, "@viv-%d", getpid());
    int fd = listener(SOCK_STREAM, text, 5), other = local(SOCK_STREAM);
    CHECK_ERR(bind_to(other, text), EADDRINUSE);
    CHECK_OK(connect_to(other, text));
    CHECK_OK(getpeername(other, (struct sockaddr *)&who, &length));
    CHECK_EQ(length, 2 + strlen(text));
    CHECK_EQ(who.sun_path[0], 0);
    CHECK_EQ(memcmp(who.sun_path + 1, text + 1, strlen(text) - 1), 0);
    close(fd);
    CHECK_ERR(connect_to(local(SOCK_STREAM), text), ECONNREFUSED);
    listener(SOCK_STREAM, text, 5);
    who.sun_family = AF_UNIX;
    other = local(SOCK_DGRAM);
    CHECK_OK(bind(other, (struct sockaddr *)&who, sizeof who.sun_family));
    length = sizeof who;
    CHECK_OK(getsockname(other, (struct sockaddr *)&who, &length));
    CHECK_EQ(length, 8);
    CHECK_EQ(who.sun_path[0], 0);
}

TEST(abstract_names_belong_to_a_network_namespace)
{
    char text[40];
    if (geteuid())
        SKIP("needs root");
    enter_scratch();
    snprintf(text, sizeof text, "@viv-%d", getpid());
    listener(SOCK_STREAM, text, 5);
    listener(SOCK_STREAM, "s", 5);
    int before = local(SOCK_STREAM);
    if (spawn() == 0) {
        CHECK_OK(unshare(CLONE_NEWNET));
        CHECK_ERR(connect_to(local(SOCK_STREAM), text), ECONNREFUSED);
        CHECK_OK(connect_to(local(SOCK_STREAM), "s")); /* a file is seen by its path */
        CHECK_OK(connect_to(before, text));
        listener(SOCK_STREAM, text, 5);
        CHECK_OK(connect_to(local(SOCK_STREAM), text));
        _exit(0);
    }
    CHECK_EQ(reap(), 0);
    CHECK_OK(connect_to(local(SOCK_STREAM), text));
}

TEST(backlog_is_a_limit)
{
    enter_scratch();
    int fd = listener(SOCK_STREAM, "s", 1);
    int a = local(SOCK_STREAM), b = local(SOCK_STREAM), c = local(SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_OK(connect_to(a, "s"));
    CHECK_OK(connect_to(b, "s"));
    CHECK_ERR(connect_to(c, "s"), EAGAIN);
    CHECK(accept(fd, NULL, NULL) >= 0);
    CHECK_OK(connect_to(c, "s"));
    close(fd);
    CHECK_ERR(read(c, block, 1), ECONNRESET);
    CHECK_EQ(read(c, block, 1), 0);
}

TEST(accept_waits_for_a_connection)
{
    enter_scratch();
    int fd = listener(SOCK_STREAM, "s", 1);
    if (spawn() == 0) {
        close(fd);
        int mine = local(SOCK_STREAM);
        sleep_ms(20);
        _exit(connect_to(mine, "s") < 0 || write(mine, "hello", 5) != 5);
    }
    int server = accept(fd, NULL, NULL);
    CHECK(server >= 0);
    CHECK_EQ(recv(server, block, 5, MSG_WAITALL), 5);
    CHECK_EQ(reap(), 0);
    CHECK_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
    CHECK_ERR(accept(fd, NULL, NULL), EAGAIN);
}

TEST(time_limits_end_a_wait)
{
    struct timeval limit = {0, 30000}, told;
    socklen_t length = sizeof told;
    int fds[2];
    pair(SOCK_STREAM, fds);
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &told, &length));
    CHECK_EQ(told.tv_sec, 0);
    CHECK(told.tv_usec >= 30000 && told.tv_usec < 60000);
    long long start = now_ms();
    CHECK_ERR(read(fds[0], block, 1), EAGAIN);
    CHECK(now_ms() - start >= 25);
}

TEST(options_tell_what_a_socket_is)
{
    int fds[2], value;
    socklen_t length = sizeof value;
    enter_scratch();
    pair(SOCK_SEQPACKET, fds);
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_TYPE, &value, &length));
    CHECK_EQ(value, SOCK_SEQPACKET);
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_DOMAIN, &value, &length));
    CHECK_EQ(value, AF_UNIX);
    int fd = listener(SOCK_STREAM, "s", 1);
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length));
    CHECK_EQ(value, 1);
    CHECK_ERR(getsockopt(fd, SOL_SOCKET, 9999, &value, &length), ENOPROTOOPT);
    CHECK_ERR(getsockopt(0, SOL_SOCKET, SO_TYPE, &value, &length), ENOTSOCK);
    CHECK_ERR(socket(AF_UNIX, 77, 0), EINVAL);
    CHECK_ERR(socket(AF_UNIX, SOCK_STREAM, 7), EPROTONOSUPPORT);
    CHECK_ERR(socket(45, SOCK_STREAM, 0), EAFNOSUPPORT);
    struct stat st;
    CHECK_OK(fstat(fd, &st));
    CHECK(S_ISSOCK(st.st_mode));
    char link[40], text[40] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    CHECK(readlink(link, text, sizeof text) > 0);
    CHECK_EQ(strncmp(text, "socket:[", 8), 0);
    CHECK_ERR(open(link, O_RDWR), ENXIO);
    CHECK_ERR(lseek(fd, 0, SEEK_SET), ESPIPE);
}

TEST(epoll_edges_come_with_each_message)
{
    int fds[2], ep = epoll_create1(0);
    pair(SOCK_STREAM, fds);
    struct epoll_event ev = {EPOLLIN | EPOLLRDHUP | EPOLLET, {.fd = fds[1]}};
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[1], &ev));
    CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
    for (int n = 0; n < 3; n++) {
        CHECK_EQ(write(fds[0], "x", 1), 1);
        CHECK_EQ(epoll_wait(ep, &ev, 1, -1), 1);
        CHECK_EQ(ev.events, EPOLLIN);
        CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
    }
    close(fds[0]);
    CHECK_EQ(epoll_wait(ep, &ev, 1, -1), 1);
    CHECK_EQ(ev.events, EPOLLIN | EPOLLRDHUP | EPOLLHUP);
}

/* Two readers and two writers on one stream: nothing is lost or doubled. */
TEST(many_readers_share_a_stream)
{
    enum { RECORDS = 2000 };
    int fds[2], sums[2];
    pair(SOCK_STREAM, fds);
    CHECK_OK(pipe(sums));
    for (int n = 0; n < 4; n++)
        if (fork() == 0) {
            long sum = 0;
            unsigned char byte;
            close(fds[n & 1]);
            for (int i = 0; n & 1 && i < RECORDS; i++)
                CHECK_EQ(write(fds[0], "\1", 1), 1);
            while (!(n & 1) && read(fds[1], &byte, 1) == 1)
                sum += byte;
            _exit(write(sums[1], &sum, sizeof sum) != sizeof sum);
        }
    close(fds[0]);
    close(fds[1]);
    long total = 0, sum;
    for (int n = 0; n < 4; n++) {
        CHECK_EQ(read(sums[0], &sum, sizeof sum), sizeof sum);
        total += sum;
    }
    CHECK_EQ(total, 2 * RECORDS);
}
