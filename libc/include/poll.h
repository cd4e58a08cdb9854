/* poll(2). */
#ifndef VIV_POLL_H
#define VIV_POLL_H

#include <signal.h>
#include <sys/_timespec.h>
#include <asm/poll.h>

typedef unsigned long nfds_t;

int poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);

#endif
