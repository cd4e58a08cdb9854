/* System calls that are their own library function: same name, same arguments, -errno turned into errno and -1.
 * The C convention differs from the kernel's in the fourth argument only (%rcx against %r10, which SYSCALL saves).
 * Variadic ones (open, fcntl, ioctl, prctl) pass their arguments in the same registers. The names are weak: a
 * program may have its own. */
#include <asm/unistd.h>

    .text

    .macro stub name, number
    .globl \name
    .weak \name
    .type \name, @function
\name:
    mov $\number, %eax
    jmp viv_syscall
    .size \name, . - \name
    .endm

    .globl viv_syscall
viv_syscall: /* %eax: number; arguments as C passes them */
    mov %rcx, %r10
    syscall
    cmp $-4095, %rax
    jae 1f
    ret
1:  mov %rax, %rdi
    jmp viv_fail

    stub accept, __NR_accept
    stub accept4, __NR_accept4
    stub access, __NR_access
    stub acct, __NR_acct
    stub alarm, __NR_alarm
    stub arch_prctl, __NR_arch_prctl
    stub bind, __NR_bind
    stub capget, __NR_capget
    stub capset, __NR_capset
    stub chdir, __NR_chdir
    stub chmod, __NR_chmod
    stub chown, __NR_chown
    stub chroot, __NR_chroot
    stub clock_getres, __NR_clock_getres
    stub clock_gettime, __NR_clock_gettime
    stub clock_settime, __NR_clock_settime
    stub close, __NR_close
    stub close_range, __NR_close_range
    stub connect, __NR_connect
    stub creat, __NR_creat
    stub dup, __NR_dup
    stub dup2, __NR_dup2
    stub dup3, __NR_dup3
    stub epoll_create, __NR_epoll_create
    stub epoll_create1, __NR_epoll_create1
    stub epoll_ctl, __NR_epoll_ctl
    stub epoll_wait, __NR_epoll_wait
    stub eventfd, __NR_eventfd2
    stub execve, __NR_execve
    stub faccessat, __NR_faccessat
    stub fallocate, __NR_fallocate
    stub fchdir, __NR_fchdir
    stub fchmod, __NR_fchmod
    stub fchown, __NR_fchown
    stub fchownat, __NR_fchownat
    stub fcntl, __NR_fcntl
    stub fdatasync, __NR_fdatasync
    stub flock, __NR_flock
    stub fork, __NR_fork
    stub fstat, __NR_fstat
    stub fstatat, __NR_newfstatat
    stub fstatfs, __NR_fstatfs
    stub fsync, __NR_fsync
    stub ftruncate, __NR_ftruncate
    stub getdents64, __NR_getdents64
    stub getegid, __NR_getegid
    stub geteuid, __NR_geteuid
    stub getgid, __NR_getgid
    stub getgroups, __NR_getgroups
    stub getitimer, __NR_getitimer
    stub getpeername, __NR_getpeername
    stub getpgid, __NR_getpgid
    stub getpgrp, __NR_getpgrp
    stub getpid, __NR_getpid
    stub getppid, __NR_getppid
    stub getrandom, __NR_getrandom
    stub getresgid, __NR_getresgid
    stub getresuid, __NR_getresuid
    stub getrlimit, __NR_getrlimit
    stub getrusage, __NR_getrusage
    stub getsid, __NR_getsid
    stub getsockname, __NR_getsockname
    stub getsockopt, __NR_getsockopt
    stub gettid, __NR_gettid
    stub gettimeofday, __NR_gettimeofday
    stub getuid, __NR_getuid
    stub ioctl, __NR_ioctl
    stub kill, __NR_kill
    stub klogctl, __NR_syslog
    stub lchown, __NR_lchown
    stub link, __NR_link
    stub linkat, __NR_linkat
    stub listen, __NR_listen
    stub lseek, __NR_lseek
    stub lstat, __NR_lstat
    stub madvise, __NR_madvise
    stub memfd_create, __NR_memfd_create
    stub mkdir, __NR_mkdir
    stub mkdirat, __NR_mkdirat
    stub mknod, __NR_mknod
    stub mknodat, __NR_mknodat
    stub mlock, __NR_mlock
    stub mlockall, __NR_mlockall
    stub mount, __NR_mount
    stub mprotect, __NR_mprotect
    stub mremap, __NR_mremap
    stub msync, __NR_msync
    stub munlock, __NR_munlock
    stub munlockall, __NR_munlockall
    stub munmap, __NR_munmap
    stub nanosleep, __NR_nanosleep
    stub open, __NR_open
    stub openat, __NR_openat
    stub pause, __NR_pause
    stub personality, __NR_personality
    stub pidfd_open, __NR_pidfd_open
    stub pidfd_send_signal, __NR_pidfd_send_signal
    stub pipe, __NR_pipe
    stub pipe2, __NR_pipe2
    stub pivot_root, __NR_pivot_root
    stub poll, __NR_poll
    stub prctl, __NR_prctl
    stub pread, __NR_pread64
    stub preadv, __NR_preadv
    stub prlimit, __NR_prlimit64
    stub pwrite, __NR_pwrite64
    stub pwritev, __NR_pwritev
    stub read, __NR_read
    stub readlink, __NR_readlink
    stub readlinkat, __NR_readlinkat
    stub readv, __NR_readv
    stub recvfrom, __NR_recvfrom
    stub recvmsg, __NR_recvmsg
    stub rename, __NR_rename
    stub renameat, __NR_renameat
    stub renameat2, __NR_renameat2
    stub rmdir, __NR_rmdir
    stub sched_get_priority_max, __NR_sched_get_priority_max
    stub sched_get_priority_min, __NR_sched_get_priority_min
    stub sched_setaffinity, __NR_sched_setaffinity
    stub sched_yield, __NR_sched_yield
    stub select, __NR_select
    stub sendfile, __NR_sendfile
    stub sendmsg, __NR_sendmsg
    stub sendto, __NR_sendto
    stub setdomainname, __NR_setdomainname
    stub setgid, __NR_setgid
    stub setgroups, __NR_setgroups
    stub sethostname, __NR_sethostname
    stub setitimer, __NR_setitimer
    stub setns, __NR_setns
    stub setpgid, __NR_setpgid
    stub setpriority, __NR_setpriority
    stub setregid, __NR_setregid
    stub setresgid, __NR_setresgid
    stub setresuid, __NR_setresuid
    stub setreuid, __NR_setreuid
    stub setrlimit, __NR_setrlimit
    stub setsid, __NR_setsid
    stub setsockopt, __NR_setsockopt
    stub settimeofday, __NR_settimeofday
    stub setuid, __NR_setuid
    stub shutdown, __NR_shutdown
    stub sigaltstack, __NR_sigaltstack
    stub socket, __NR_socket
    stub socketpair, __NR_socketpair
    stub stat, __NR_stat
    stub statfs, __NR_statfs
    stub symlink, __NR_symlink
    stub symlinkat, __NR_symlinkat
    stub sync, __NR_sync
    stub syncfs, __NR_syncfs
    stub sysinfo, __NR_sysinfo
    stub tgkill, __NR_tgkill
    stub timerfd_create, __NR_timerfd_create
    stub timerfd_gettime, __NR_timerfd_gettime
    stub timerfd_settime, __NR_timerfd_settime
    stub times, __NR_times
    stub truncate, __NR_truncate
    stub umask, __NR_umask
    stub umount2, __NR_umount2
    stub uname, __NR_uname
    stub unlink, __NR_unlink
    stub unlinkat, __NR_unlinkat
    stub unshare, __NR_unshare
    stub utimensat, __NR_utimensat
    stub utimes, __NR_utimes
    stub wait4, __NR_wait4
    stub write, __NR_write
    stub writev, __NR_writev

/* The number is an argument: everything moves down by one. */
    .globl syscall
    .type syscall, @function
syscall:
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %rcx
    mov %r9, %r8
    mov 8(%rsp), %r9
    jmp viv_syscall
    .size syscall, . - syscall

/* _exit ends every thread of the process; viv_exit_thread ends this one, and gives its stack back first. */
    .globl _exit
    .type _exit, @function
_exit:
    mov $__NR_exit_group, %eax
    syscall
    hlt
    .globl viv_exit_thread /* (void *stack, size_t size) */
viv_exit_thread:
    mov $__NR_munmap, %eax
    syscall
    xor %edi, %edi
    mov $__NR_exit, %eax
    syscall
    hlt

/* The child runs on the parent's stack until it execs or exits, so the return address must not lie on it. */
    .globl vfork
    .type vfork, @function
vfork:
    pop %rdx
    mov $__NR_vfork, %eax
    syscall
    push %rdx
    cmp $-4095, %rax
    jae 1f
    ret
1:  mov %rax, %rdi
    jmp viv_fail
    .size vfork, . - vfork

/* int clone(int (*fn)(void *), void *stack, int flags, void *arg, pid_t *ptid, void *tls, pid_t *ctid) */
    .globl clone
    .type clone, @function
clone:
    and $-16, %rsi
    sub $16, %rsi
    mov %rdi, (%rsi)
    mov %rcx, 8(%rsi)
    mov %edx, %edi
    mov %r8, %rdx
    mov %r9, %r8
    mov 8(%rsp), %r10
    mov $__NR_clone, %eax
    syscall
    test %rax, %rax
    jz 1f
    js 2f
    ret
1:  xor %ebp, %ebp
    pop %rax
    pop %rdi
    call *%rax
    mov %eax, %edi
    mov $__NR_exit, %eax
    syscall
    hlt
2:  mov %rax, %rdi
    jmp viv_fail
    .size clone, . - clone

/* What a signal handler returns to. */
    .globl viv_restorer
    .type viv_restorer, @function
viv_restorer:
    mov $__NR_rt_sigreturn, %eax
    syscall
    .size viv_restorer, . - viv_restorer

    .section .note.GNU-stack, "", @progbits
