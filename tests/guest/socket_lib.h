/* What the tests of sockets share. */
#ifndef TESTS_GUEST_SOCKET_LIB_H
#define TESTS_GUEST_SOCKET_LIB_H

#include "tests/guest/test.h"
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

__attribute__((unused)) static char block[1 << 20];

__attribute__((unused)) static int local(int type)
{
    int fd = socket(AF_UNIX, type, 0);
    CHECK(fd >= 0);
    return fd;
}

__attribute__((unused)) static void pair(int type, int *fds)
{
    CHECK_OK(socketpair(AF_UNIX, type, 0, fds));
}

/* A name: "@..." is abstract. */
static socklen_t name(struct sockaddr_un *to, const char *text)
{
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    memcpy(to->sun_path, text, strlen(text));
    if (*text == '@')
        to->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(text) + (*text != '@'));
}

__attribute__((unused)) static int bind_to(int fd, const char *text)
{
    struct sockaddr_un to;
    socklen_t length = name(&to, text);
    return bind(fd, (struct sockaddr *)&to, length);
}

__attribute__((unused)) static int connect_to(int fd, const char *text)
{
    struct sockaddr_un to;
    socklen_t length = name(&to, text);
    return connect(fd, (struct sockaddr *)&to, length);
}

__attribute__((unused)) static int listener(int type, const char *text, int backlog)
{
    int fd = local(type);
    CHECK_OK(bind_to(fd, text));
    CHECK_OK(listen(fd, backlog));
    return fd;
}

__attribute__((unused)) static short ready(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

#endif
