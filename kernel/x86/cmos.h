// The CMOS real-time clock (Motorola MC146818).
#pragma once
#include "kernel/lib/types.h"

// Seconds since 1970-01-01 00:00:00 UTC, taking the clock as UTC. 0 if it does not answer.
u64 cmos_read_time(void);
