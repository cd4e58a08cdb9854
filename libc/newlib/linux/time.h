/* The kernel's clock numbers, with the structures that newlib has already kept out of the way. */
#ifndef VIV_LINUX_TIME_H
#define VIV_LINUX_TIME_H

#include <time.h>

#define timespec viv_uapi_timespec
#define timeval viv_uapi_timeval
#define itimerspec viv_uapi_itimerspec
#define itimerval viv_uapi_itimerval
#define timezone viv_uapi_timezone
#include_next <linux/time.h>
#undef timespec
#undef timeval
#undef itimerspec
#undef itimerval
#undef timezone

#endif
