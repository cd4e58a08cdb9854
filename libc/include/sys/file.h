/* flock(2). */
#ifndef VIV_SYS_FILE_H
#define VIV_SYS_FILE_H

#include <fcntl.h>

#endif
