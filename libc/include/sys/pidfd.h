/* Descriptors of processes. */
#ifndef VIV_SYS_PIDFD_H
#define VIV_SYS_PIDFD_H

#include <signal.h>

int pidfd_open(pid_t pid, unsigned int flags);
int pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned int flags);

#endif
