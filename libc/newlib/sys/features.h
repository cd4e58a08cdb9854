/* What newlib may count on here: a reent for each thread, and calls that move sizes, not ints. */
#ifndef VIV_SYS_FEATURES_H
#define VIV_SYS_FEATURES_H

#ifndef __DYNAMIC_REENT__
#define __DYNAMIC_REENT__
#endif
#define _READ_WRITE_RETURN_TYPE _ssize_t
#define _READ_WRITE_BUFSIZE_TYPE __SIZE_TYPE__
#define FD_SETSIZE 1024

#include_next <sys/features.h>

#endif
