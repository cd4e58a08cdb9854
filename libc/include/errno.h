/* errno, and the program's name as glibc keeps it. */
#ifndef VIV_ERRNO_H
#define VIV_ERRNO_H

#include_next <errno.h>

extern char *program_invocation_name, *program_invocation_short_name;

#endif
