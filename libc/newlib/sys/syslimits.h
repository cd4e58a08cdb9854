/* Linux's limits, in place of newlib's own. */
#ifndef VIV_SYS_SYSLIMITS_H
#define VIV_SYS_SYSLIMITS_H

#include_next <sys/syslimits.h>

#undef ARG_MAX
#undef LINK_MAX
#undef NGROUPS_MAX
#undef OPEN_MAX
#undef PATH_MAX
#undef PIPE_BUF
#include <linux/limits.h>
#define IOV_MAX 1024
#define HOST_NAME_MAX 64
#define PTHREAD_STACK_MIN 16384

#endif
