/* newlib's stdlib.h and what glibc adds to it. */
#ifndef VIV_STDLIB_H
#define VIV_STDLIB_H

#include_next <stdlib.h>

int clearenv(void);

#endif
