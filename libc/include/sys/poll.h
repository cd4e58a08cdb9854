/* Another name for poll.h. */
#ifndef VIV_SYS_POLL_H
#define VIV_SYS_POLL_H

#include <poll.h>

#endif
