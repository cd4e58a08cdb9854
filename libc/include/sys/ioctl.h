/* ioctl(2), its numbers for terminals and struct winsize. */
#ifndef VIV_SYS_IOCTL_H
#define VIV_SYS_IOCTL_H

#include <asm/ioctl.h>
#include <asm/termios.h>
#include <linux/sockios.h>

int ioctl(int fd, unsigned long request, ...);

#endif
