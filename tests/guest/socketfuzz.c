/* Processes that do whatever comes to mind with sockets that they share, sockets in messages among
 * them; afterwards nothing of it may be left. */
#include "tests/guest/socket_lib.h"

enum { SLOTS = 24, WORKERS = 4, STEPS = 4000 };

static unsigned long state;

static unsigned rnd(unsigned below)
{
    state = state * 6364136223846793005UL + 1442695040888963407UL;
    return (unsigned)(state >> 33) % below;
}

static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
static int slot[SLOTS];

static void put(int fd)
{
    int *to = &slot[rnd(SLOTS)];
    if (fd < 0)
        return;
    if (*to >= 0)
        close(*to);
    *to = fd;
}

static socklen_t any_name(struct sockaddr_un *to)
{
    char text[8] = {rnd(2) ? '@' : 's', (char)('a' + rnd(6)), 0};
    return name(to, text);
}

static void send_something(int fd)
{
    static char bytes[70000];
    char control[CMSG_SPACE(4 * sizeof(int))] = {0};
    struct sockaddr_un to;
    struct iovec parts[2] = {{bytes, rnd(300)}, {bytes, rnd(4) ? 0 : rnd(sizeof bytes)}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    if (rnd(4) == 0) {
        m.msg_name = &to;
        m.msg_namelen = any_name(&to);
    }
    if (rnd(2)) {
        size_t count = 1 + rnd(4);
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        for (size_t n = 0; n < count; n++)
            memcpy(CMSG_DATA(c) + n * sizeof(int), &slot[rnd(SLOTS)], sizeof(int));
    }
    sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void receive_something(int fd)
{
    static char bytes[70000];
    char control[CMSG_SPACE(4 * sizeof(int))] __attribute__((aligned(8)));
    struct sockaddr_un from;
    struct iovec part = {bytes, rnd(2) ? rnd(400) : sizeof bytes};
    struct msghdr m = {.msg_name = &from,
                       .msg_namelen = sizeof from,
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control};
    m.msg_controllen = rnd(3) ? sizeof control : rnd(24);
    if (recvmsg(fd, &m, MSG_DONTWAIT | (rnd(4) ? 0 : MSG_PEEK)) < 0)
        return;
    struct cmsghdr *c = m.msg_controllen >= sizeof(*c) ? CMSG_FIRSTHDR(&m) : NULL;
    for (size_t n = 0; c && n < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); n++) {
        int fd_in;
        memcpy(&fd_in, CMSG_DATA(c) + n * sizeof(int), sizeof(int));
        put(fd_in);
    }
}

static void step(void)
{
    struct sockaddr_un to;
    struct epoll_event ev = {EPOLLIN | EPOLLOUT | EPOLLET, {.u64 = 0}};
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    int fds[2], fd = slot[rnd(SLOTS)], on = 1;
    socklen_t length;

    switch (rnd(16)) {
    case 0:
        put(socket(AF_UNIX, types[rnd(3)] | SOCK_NONBLOCK, 0));
        break;
    case 1:
        if (socketpair(AF_UNIX, types[rnd(3)] | SOCK_NONBLOCK, 0, fds) == 0) {
            put(fds[0]);
            put(fds[1]);
        }
        break;
    case 2:
        length = any_name(&to);
        if (to.sun_path[0])
            unlink(to.sun_path);
        bind(fd, (struct sockaddr *)&to, length);
        break;
    case 3:
        listen(fd, (int)rnd(5));
        break;
    case 4:
    case 5:
        length = any_name(&to);
        connect(fd, (struct sockaddr *)&to, length);
        break;
    case 6:
        put(accept(fd, NULL, NULL));
        break;
    case 7:
        if (rnd(4) == 0)
            shutdown(fd, (int)rnd(3));
        if (rnd(4) == 0)
            connect(fd, &nowhere, sizeof nowhere);
        break;
    case 8:
        put(epoll_create1(0));
        break;
    case 9:
        epoll_ctl(fd, EPOLL_CTL_ADD, slot[rnd(SLOTS)], &ev);
        epoll_wait(fd, &ev, 1, 0);
        break;
    case 10:
        setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
        ready(fd);
        break;
    case 11:
        put(dup(fd));
        break;
    case 12:
    case 13:
        receive_something(fd);
        break;
    default:
        send_something(fd);
    }
}

static void worker(unsigned long seed)
{
    state = seed * 0x9e3779b97f4a7c15UL;
    for (int n = 0; n < STEPS; n++)
        step();
    _exit(0);
}

static long slab_kb(void)
{
    char *at = strstr(read_file("/proc/meminfo"), "Slab:");
    CHECK(at != NULL);
    return strtol(at + 5, NULL, 10);
}

TEST(sockets_survive_whatever_is_done_with_them)
{
    long before = 0;
    enter_scratch();
    for (int round = 0; round < 6; round++) {
        int fds[2];
        memset(slot, 0xff, sizeof slot);
        for (int n = 0; n < SLOTS / 2; n++) { /* the workers share these */
            pair(types[n % 3] | SOCK_NONBLOCK, fds);
            slot[2 * n] = fds[0];
            slot[2 * n + 1] = fds[1];
        }
        for (int n = 0; n < WORKERS; n++)
            if (fork() == 0)
                worker((unsigned long)(round * WORKERS + n + 1));
        for (int n = 0; n < SLOTS; n++)
            close(slot[n]);
        int status;
        for (int n = 0; n < WORKERS; n++) {
            CHECK(wait(&status) > 0);
            CHECK_EQ(status, 0);
        }
        pair(SOCK_STREAM, fds); /* whose close collects what is left */
        close(fds[0]);
        close(fds[1]);
        if (round == 1)
            before = slab_kb();
    }
    CHECK(slab_kb() <= before + 512);
}
