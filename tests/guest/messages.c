/* Messages through sockets: datagrams, packets, descriptors and credentials beside the bytes.
 * unix(7). */
#include "tests/guest/socket_lib.h"

TEST(datagrams_keep_their_borders_and_say_from_whom)
{
    struct sockaddr_un from, to;
    socklen_t length = sizeof from;
    enter_scratch();
    int a = local(SOCK_DGRAM), b = local(SOCK_DGRAM);
    CHECK_OK(bind_to(a, "a"));
    CHECK_OK(bind_to(b, "b"));
    socklen_t to_length = name(&to, "a");
    CHECK_EQ(sendto(b, "one", 3, 0, (struct sockaddr *)&to, to_length), 3);
    CHECK_EQ(sendto(b, "", 0, 0, (struct sockaddr *)&to, to_length), 0);
    CHECK_EQ(sendto(b, "three", 5, 0, (struct sockaddr *)&to, to_length), 5);
    CHECK_EQ(recvfrom(a, block, 100, 0, (struct sockaddr *)&from, &length), 3);
    CHECK_EQ(length, 4);
    CHECK_STR(from.sun_path, "b");
    CHECK_EQ(recv(a, block, 100, 0), 0);
    CHECK_EQ(recv(a, block, 2, MSG_TRUNC | MSG_PEEK), 5);
    CHECK_EQ(recv(a, block, 2, 0), 2);
    CHECK_ERR(recv(a, block, 2, MSG_DONTWAIT), EAGAIN);
    CHECK_ERR(send(b, "x", 1, 0), ENOTCONN);
    CHECK_ERR(sendto(b, block, 1 << 19, 0, (struct sockaddr *)&to, to_length), EMSGSIZE);
    to_length = name(&to, "nobody");
    CHECK_ERR(sendto(b, "x", 1, 0, (struct sockaddr *)&to, to_length), ENOENT);
}

TEST(connected_datagram_socket_hears_one_only)
{
    struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
    struct sockaddr_un to;
    enter_scratch();
    int a = local(SOCK_DGRAM), b = local(SOCK_DGRAM), c = local(SOCK_DGRAM);
    CHECK_OK(bind_to(a, "a"));
    CHECK_OK(bind_to(b, "b"));
    CHECK_OK(connect_to(a, "b"));
    CHECK_OK(connect_to(b, "a"));
    CHECK_EQ(write(b, "yes", 3), 3);
    CHECK_ERR(connect_to(c, "a"), EPERM);
    socklen_t length = name(&to, "a");
    CHECK_ERR(sendto(c, "no", 2, 0, (struct sockaddr *)&to, length), EPERM);
    CHECK_EQ(read(a, block, 100), 3);
    CHECK_EQ(write(b, "lost", 4), 4);
    CHECK_OK(connect(a, &unspecified, sizeof unspecified));
    CHECK_EQ(sendto(c, "now", 3, 0, (struct sockaddr *)&to, length), 3);
    CHECK_EQ(read(a, block, 100), 3);
    CHECK_ERR(write(b, "x", 1), ECONNRESET);
    close(a);
    CHECK_ERR(write(b, "x", 1), ECONNREFUSED);
    CHECK_ERR(write(b, "x", 1), ENOTCONN);
}

TEST(full_datagram_queue_makes_its_sender_wait)
{
    enter_scratch();
    int a = local(SOCK_DGRAM), b = local(SOCK_DGRAM | SOCK_NONBLOCK), sent = 0;
    CHECK_OK(bind_to(a, "a"));
    CHECK_OK(connect_to(b, "a"));
    while (write(b, "x", 1) == 1)
        sent++;
    CHECK_EQ(errno, EAGAIN);
    CHECK(sent > 2 && sent < 10000);
    CHECK_EQ(ready(b), 0);
    int ep = epoll_create1(0);
    struct epoll_event ev = {EPOLLOUT | EPOLLET, {.fd = b}};
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, b, &ev));
    CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
    if (spawn() == 0) {
        sleep_ms(20);
        for (int n = 0; n < sent; n++)
            CHECK_EQ(read(a, block, 100), 1);
        _exit(0);
    }
    CHECK_EQ(epoll_wait(ep, &ev, 1, -1), 1);
    CHECK_OK(fcntl(b, F_SETFL, 0));
    CHECK_EQ(write(b, "x", 1), 1);
    CHECK_EQ(reap(), 0);
}

TEST(packets_are_a_connection_with_borders)
{
    int fds[2];
    char text[4];
    struct iovec part = {text, 4};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    enter_scratch();
    int fd = listener(SOCK_SEQPACKET, "s", 5), client = local(SOCK_SEQPACKET);
    CHECK_ERR(recv(client, text, 4, 0), ENOTCONN);
    CHECK_OK(connect_to(client, "s"));
    int server = accept(fd, NULL, NULL);
    CHECK_EQ(send(client, "abcdef", 6, 0), 6);
    CHECK_EQ(send(client, "gh", 2, 0), 2);
    CHECK_EQ(recvmsg(server, &m, 0), 4);
    CHECK_EQ(m.msg_flags & MSG_TRUNC, MSG_TRUNC);
    CHECK_EQ(recvmsg(server, &m, 0), 2);
    CHECK_EQ(m.msg_flags, 0);
    close(client);
    CHECK_EQ(recv(server, text, 4, 0), 0);
    pair(SOCK_SEQPACKET, fds);
    CHECK_EQ(write(fds[0], "xyz", 3), 3);
    CHECK_EQ(read(fds[1], text, 1), 1);
    CHECK_ERR(recv(fds[1], text, 1, MSG_DONTWAIT), EAGAIN);
}

/* Sends the text with descriptors beside it; how many bytes went. */
static ssize_t send_fds(int socket, const char *text, const int *fds, size_t count)
{
    static char control[CMSG_SPACE(300 * sizeof(int))];
    struct iovec part = {(void *)text, strlen(text)};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    m.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    return sendmsg(socket, &m, MSG_NOSIGNAL);
}

/* Receives up to `size` bytes and `room` descriptors; *count becomes how many came. */
static ssize_t receive_fds(int socket, char *text, size_t size, int *fds, size_t room,
                           size_t *count, int *flags)
{
    static char control[CMSG_SPACE(300 * sizeof(int))] __attribute__((aligned(8)));
    struct iovec part = {text, size};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    m.msg_controllen = room ? CMSG_LEN(room * sizeof(int)) : 0;
    ssize_t got = recvmsg(socket, &m, *flags);
    struct cmsghdr *c = m.msg_controllen ? CMSG_FIRSTHDR(&m) : NULL;
    *flags = m.msg_flags;
    *count = 0;
    if (got >= 0 && c && c->cmsg_type == SCM_RIGHTS) {
        *count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), *count * sizeof(int));
    }
    return got;
}

TEST(descriptors_travel_in_messages)
{
    int fds[2], pipes[2], got[4], flags = MSG_CMSG_CLOEXEC;
    size_t count;
    pair(SOCK_STREAM, fds);
    CHECK_OK(pipe(pipes));
    CHECK_EQ(send(fds[0], "before ", 7, 0), 7);
    CHECK_EQ(send_fds(fds[0], "with", pipes, 2), 4);
    CHECK_EQ(send(fds[0], "after", 5, 0), 5);
    close(pipes[0]);
    CHECK_EQ(receive_fds(fds[1], block, 100, got, 4, &count, &flags), 11);
    CHECK_EQ(memcmp(block, "before with", 11), 0);
    CHECK_EQ(count, 2);
    CHECK_EQ(flags, MSG_CMSG_CLOEXEC);
    CHECK_EQ(fcntl(got[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(pipes[1], "through", 7), 7);
    CHECK_EQ(read(got[0], block, 100), 7);
    flags = 0;
    CHECK_EQ(receive_fds(fds[1], block, 100, got, 4, &count, &flags), 5);
    CHECK_EQ(count, 0);
    int bad = 99;
    CHECK_ERR(send_fds(fds[0], "x", &bad, 1), EBADF);
    static int many[300];
    for (int n = 0; n < 300; n++)
        many[n] = 0;
    CHECK_ERR(send_fds(fds[0], "x", many, 254), EINVAL);
    CHECK_EQ(send_fds(fds[0], "x", many, 253), 1);
}

TEST(descriptors_without_room_are_closed)
{
    int fds[2], pipes[2], got[4], flags = 0, both[2];
    size_t count;
    pair(SOCK_DGRAM, fds);
    CHECK_OK(pipe(pipes));
    both[0] = pipes[1];
    both[1] = pipes[1];
    CHECK_EQ(send_fds(fds[0], "x", both, 2), 1);
    close(pipes[1]);
    CHECK_EQ(receive_fds(fds[1], block, 1, got, 1, &count, &flags), 1);
    CHECK_EQ(count, 1);
    CHECK_EQ(flags, MSG_CTRUNC);
    close(got[0]);
    CHECK_EQ(read(pipes[0], block, 1), 0);
    CHECK_OK(pipe(pipes));
    CHECK_EQ(send_fds(fds[0], "x", &pipes[1], 1), 1);
    close(pipes[1]);
    CHECK_EQ(read(fds[1], block, 1), 1);
    CHECK_EQ(read(pipes[0], block, 1), 0);
}

TEST(descriptors_die_with_the_queue)
{
    int fds[2], pipes[2];
    pair(SOCK_STREAM, fds);
    CHECK_OK(pipe(pipes));
    CHECK_EQ(send_fds(fds[0], "x", &pipes[1], 1), 1);
    close(pipes[1]);
    close(fds[0]);
    close(fds[1]);
    CHECK_EQ(read(pipes[0], block, 1), 0);
}

/* A circle of sockets in each other's queues: the pipe in it closes when it is found. */
TEST(sockets_that_hold_each_other_are_collected)
{
    int a[2], b[2], pipes[2];
    pair(SOCK_STREAM, a);
    pair(SOCK_STREAM, b);
    CHECK_OK(pipe(pipes));
    CHECK_EQ(send_fds(a[0], "x", b, 2), 1);
    CHECK_EQ(send_fds(b[0], "x", a, 2), 1);
    CHECK_EQ(send_fds(b[0], "x", &pipes[1], 1), 1);
    close(pipes[1]);
    for (int n = 0; n < 2; n++) {
        close(a[n]);
        close(b[n]);
    }
    pair(SOCK_STREAM, a);
    close(a[0]); /* each close of a socket looks for them */
    close(a[1]);
    CHECK_EQ(read(pipes[0], block, 1), 0);
}

TEST(reachable_sockets_are_not_collected)
{
    int a[2], b[2], got[4], flags = 0;
    size_t count;
    pair(SOCK_STREAM, a);
    pair(SOCK_STREAM, b);
    CHECK_EQ(write(b[0], "kept", 4), 4);
    CHECK_EQ(send_fds(a[0], "x", b, 2), 1);
    close(b[0]);
    close(b[1]);
    close(a[0]);
    CHECK_EQ(receive_fds(a[1], block, 1, got, 4, &count, &flags), 1);
    CHECK_EQ(count, 2);
    CHECK_EQ(read(got[1], block, 100), 4);
}

/* Each socket is in the queue of the next: closing the last frees them all. */
TEST(long_chain_of_sockets_is_freed)
{
    int pipes[2], last[2], next[2];
    CHECK_OK(pipe(pipes));
    pair(SOCK_STREAM, last);
    CHECK_EQ(send_fds(last[0], "x", &pipes[1], 1), 1);
    close(pipes[1]);
    for (int n = 0; n < 2000; n++) {
        pair(SOCK_STREAM, next);
        if (send_fds(next[0], "x", &last[1], 1) < 0) {
            CHECK_EQ(errno, ETOOMANYREFS); /* Linux may say so */
            SKIP("chains are limited here");
        }
        close(last[0]);
        close(last[1]);
        last[0] = next[0];
        last[1] = next[1];
    }
    close(last[0]);
    close(last[1]);
    CHECK_EQ(read(pipes[0], block, 1), 0);
}

TEST(credentials_are_the_kernels_word)
{
    struct ucred who;
    socklen_t length = sizeof who;
    int fds[2], on = 1;
    pair(SOCK_STREAM, fds);
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &who, &length));
    CHECK_EQ(who.pid, getpid());
    CHECK_EQ(who.uid, geteuid());
    CHECK_OK(setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    CHILD_PASSES(CHECK_EQ(write(fds[0], "x", 1), 1));
    char control[CMSG_SPACE(sizeof who)];
    struct iovec part = {block, 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    m.msg_controllen = sizeof control;
    CHECK_EQ(recvmsg(fds[1], &m, 0), 1);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    CHECK(c != NULL);
    CHECK_EQ(c->cmsg_type, SCM_CREDENTIALS);
    CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof who));
    memcpy(&who, CMSG_DATA(c), sizeof who);
    CHECK_EQ(who.pid, last_child);
    CHECK_EQ(who.uid, getuid());
}

TEST(false_credentials_need_privilege)
{
    struct ucred who = {getpid(), 0, 0};
    int fds[2];
    char control[CMSG_SPACE(sizeof who)] = {0};
    struct iovec part = {block, 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    if (geteuid())
        SKIP("needs root");
    pair(SOCK_DGRAM, fds);
    m.msg_controllen = sizeof control;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){CMSG_LEN(sizeof who), SOL_SOCKET, SCM_CREDENTIALS};
    memcpy(CMSG_DATA(c), &who, sizeof who);
    CHECK_EQ(sendmsg(fds[0], &m, 0), 1);
    CHILD_PASSES(CHECK_OK(setuid(1000)); CHECK_ERR(sendmsg(fds[0], &m, 0), EPERM));
}
