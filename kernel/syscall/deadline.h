// Time-outs of system calls as deadlines of clock_ns(): 0 means "do not wait", WAIT_FOREVER "no
// limit".
#pragma once
#include "kernel/lib/types.h"

u64 deadline_ms(int timeout); // milliseconds; negative: for ever
// A user's struct timespec (unit 1) or timeval (unit NSEC_PER_USEC); NULL: for ever. 0, -EFAULT,
// -EINVAL.
int deadline_timespec(const void __user *timeout, u64 unit, u64 *deadline);
// Writes what is left, as Linux does. 0 or -EFAULT; NULL is fine.
int deadline_write_back(void __user *timeout, u64 unit, u64 deadline);
