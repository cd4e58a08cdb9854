/* statfs(2). */
#ifndef VIV_SYS_STATFS_H
#define VIV_SYS_STATFS_H

#include <sys/types.h>
#include <asm/statfs.h>
#include <linux/magic.h>

int statfs(const char *path, struct statfs *fs);
int fstatfs(int fd, struct statfs *fs);

#endif
