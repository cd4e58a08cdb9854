/* Clocks: Linux's numbers, in place of newlib's own. */
#ifndef VIV_TIME_H
#define VIV_TIME_H

#include_next <time.h>
#include <sys/timespec.h>

#undef CLOCK_REALTIME
#undef CLOCK_REALTIME_COARSE
#undef CLOCK_MONOTONIC
#undef CLOCK_MONOTONIC_RAW
#undef CLOCK_MONOTONIC_COARSE
#undef CLOCK_PROCESS_CPUTIME_ID
#undef CLOCK_THREAD_CPUTIME_ID
#undef CLOCK_BOOTTIME
#undef CLOCK_REALTIME_ALARM
#undef CLOCK_BOOTTIME_ALARM
#undef TIMER_ABSTIME
#include <linux/time.h>

int clock_gettime(clockid_t clock, struct timespec *now);
int clock_getres(clockid_t clock, struct timespec *resolution);
int clock_settime(clockid_t clock, const struct timespec *now);
int clock_nanosleep(clockid_t clock, int flags, const struct timespec *want, struct timespec *left);
int nanosleep(const struct timespec *want, struct timespec *left);

#endif
