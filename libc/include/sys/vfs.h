/* Another name for sys/statfs.h. */
#ifndef VIV_SYS_VFS_H
#define VIV_SYS_VFS_H

#include <sys/statfs.h>

#endif
