/* Sockets: the calls that are forms of others. */
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include "libc/src/port.h"

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    return sendto(fd, data, size, flags, NULL, 0);
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
    return recvfrom(fd, data, size, flags, NULL, NULL);
}

int signalfd(int fd, const sigset_t *mask, int flags)
{
    return (int)checked(RAW(__NR_signalfd4, fd, mask, sizeof *mask, flags, 0, 0));
}
