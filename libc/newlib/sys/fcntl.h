/* Flags of open, fcntl and the *at calls: Linux's, in place of newlib's own. */
#ifndef _SYS_FCNTL_H_
#define _SYS_FCNTL_H_
#define _SYS__DEFAULT_FCNTL_H_

#include <sys/types.h>
#include <linux/fcntl.h>

#define O_FSYNC O_SYNC

int open(const char *path, int flags, ...);
int openat(int dir, const char *path, int flags, ...);
int creat(const char *path, mode_t mode);
int fcntl(int fd, int cmd, ...);
int flock(int fd, int operation);
int fallocate(int fd, int mode, off_t offset, off_t len);
int posix_fallocate(int fd, off_t offset, off_t len);

#endif
