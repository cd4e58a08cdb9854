/* Another name for sys/wait.h. */
#ifndef VIV_WAIT_H
#define VIV_WAIT_H

#include <sys/wait.h>

#endif
