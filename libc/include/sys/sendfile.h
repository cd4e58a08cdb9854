/* sendfile(2). */
#ifndef VIV_SYS_SENDFILE_H
#define VIV_SYS_SENDFILE_H

#include <sys/types.h>

ssize_t sendfile(int out, int in, off_t *offset, size_t count);

#endif
