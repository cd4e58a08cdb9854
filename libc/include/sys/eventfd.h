/* eventfd(2). */
#ifndef VIV_SYS_EVENTFD_H
#define VIV_SYS_EVENTFD_H

#include <stdint.h>
#include <fcntl.h>

#define EFD_SEMAPHORE 1
#define EFD_CLOEXEC O_CLOEXEC
#define EFD_NONBLOCK O_NONBLOCK

typedef uint64_t eventfd_t;

int eventfd(unsigned int start, int flags);
int eventfd_read(int fd, eventfd_t *value);
int eventfd_write(int fd, eventfd_t value);

#endif
