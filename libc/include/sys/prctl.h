/* prctl(2). */
#ifndef VIV_SYS_PRCTL_H
#define VIV_SYS_PRCTL_H

#include <linux/prctl.h>

int prctl(int option, ...);

#endif
