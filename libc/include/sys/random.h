/* getrandom(2). */
#ifndef VIV_SYS_RANDOM_H
#define VIV_SYS_RANDOM_H

#include <sys/types.h>
#include <linux/random.h>

ssize_t getrandom(void *buffer, size_t size, unsigned int flags);

#endif
