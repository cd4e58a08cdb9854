// The load averages of uptime(1): tasks that run or wait for a CPU, averaged over 1, 5 and 15
// minutes.
#pragma once
#include "kernel/lib/types.h"

#define LOAD_ONE 65536UL // one task, all the time

void loadavg(unsigned long loads[3]);
// Samples every five seconds from its first call on.
void loadavg_init(void);
