/* Device numbers. */
#ifndef VIV_SYS_SYSMACROS_H
#define VIV_SYS_SYSMACROS_H

#include <sys/types.h>

#define major(dev) ((unsigned int)((((dev) >> 8) & 0xfff) | (((dev) >> 32) & ~0xfffU)))
#define minor(dev) ((unsigned int)(((dev)&0xff) | (((dev) >> 12) & ~0xffU)))
#define makedev(maj, min)                                                                          \
    ((((dev_t)(maj)&0xfff) << 8) | (((dev_t)(maj) & ~0xfffUL) << 32) | ((dev_t)(min)&0xff) |       \
     (((dev_t)(min) & ~0xffUL) << 12))

#endif
