/* signalfd(2). */
#ifndef VIV_SYS_SIGNALFD_H
#define VIV_SYS_SIGNALFD_H

#include <fcntl.h>
#include <signal.h>
#include <linux/types.h>

#define SFD_CLOEXEC O_CLOEXEC
#define SFD_NONBLOCK O_NONBLOCK

struct signalfd_siginfo {
    __u32 ssi_signo;
    __s32 ssi_errno, ssi_code;
    __u32 ssi_pid, ssi_uid;
    __s32 ssi_fd;
    __u32 ssi_tid, ssi_band, ssi_overrun, ssi_trapno;
    __s32 ssi_status, ssi_int;
    __u64 ssi_ptr, ssi_utime, ssi_stime, ssi_addr;
    __u16 ssi_addr_lsb, padding2;
    __s32 ssi_syscall;
    __u64 ssi_call_addr;
    __u32 ssi_arch;
    __u8 padding[28];
};
_Static_assert(sizeof(struct signalfd_siginfo) == 128, "the kernel's");

int signalfd(int fd, const sigset_t *mask, int flags);

#endif
