/* What the kernel tells a program at its start. */
#ifndef VIV_SYS_AUXV_H
#define VIV_SYS_AUXV_H

#include <linux/auxvec.h>

unsigned long getauxval(unsigned long type);

#endif
