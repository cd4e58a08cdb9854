/* System calls that are their own library function: same name, same arguments, -errno turned into errno and -1.
 * The C convention differs from the kernel's in the fourth argument only (%rcx against %r10, which SYSCALL saves).
 * Variadic ones (open, fcntl, ioctl, prctl) pass their arguments in the same registers. The names are weak: a
 * program may have its own. */
#include <asm/unistd.h>

    .text

    .macro call name, number
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

    call access, __NR_access
    call acct, __NR_acct
    call alarm, __NR_alarm
    call arch_prctl, __NR_arch_prctl
    call capget, __NR_capget
    call capset, __NR_capset
    call chdir, __NR_chdir
    call chmod, __NR_chmod
    call chown, __NR_chown
    call chroot, __NR_chroot
    call clock_getres, __NR_clock_getres
    call clock_gettime, __NR_clock_gettime
    call clock_settime, __NR_clock_settime
    call close, __NR_close
    call close_range, __NR_close_range
    call creat, __NR_creat
    call dup, __NR_dup
    call dup2, __NR_dup2
    call dup3, __NR_dup3
    call epoll_create, __NR_epoll_create
    call epoll_create1, __NR_epoll_create1
    call epoll_ctl, __NR_epoll_ctl
    call epoll_wait, __NR_epoll_wait
    call eventfd, __NR_eventfd2
    call execve, __NR_execve
    call faccessat, __NR_faccessat
    call fallocate, __NR_fallocate
    call fchdir, __NR_fchdir
    call fchmod, __NR_fchmod
    call fchown, __NR_fchown
    call fchownat, __NR_fchownat
    call fcntl, __NR_fcntl
    call fdatasync, __NR_fdatasync
    call flock, __NR_flock
    call fork, __NR_fork
    call fstat, __NR_fstat
    call fstatat, __NR_newfstatat
    call fstatfs, __NR_fstatfs
    call fsync, __NR_fsync
    call ftruncate, __NR_ftruncate
    call getdents64, __NR_getdents64
    call getegid, __NR_getegid
    call geteuid, __NR_geteuid
    call getgid, __NR_getgid
    call getgroups, __NR_getgroups
    call getitimer, __NR_getitimer
    call getpgid, __NR_getpgid
    call getpgrp, __NR_getpgrp
    call getpid, __NR_getpid
    call getppid, __NR_getppid
    call getrandom, __NR_getrandom
    call getresgid, __NR_getresgid
    call getresuid, __NR_getresuid
    call getrlimit, __NR_getrlimit
    call getrusage, __NR_getrusage
    call getsid, __NR_getsid
    call gettid, __NR_gettid
    call gettimeofday, __NR_gettimeofday
    call getuid, __NR_getuid
    call ioctl, __NR_ioctl
    call kill, __NR_kill
    call klogctl, __NR_syslog
    call lchown, __NR_lchown
    call link, __NR_link
    call linkat, __NR_linkat
    call lseek, __NR_lseek
    call lstat, __NR_lstat
    call madvise, __NR_madvise
    call memfd_create, __NR_memfd_create
    call mkdir, __NR_mkdir
    call mkdirat, __NR_mkdirat
    call mknod, __NR_mknod
    call mknodat, __NR_mknodat
    call mlock, __NR_mlock
    call mlockall, __NR_mlockall
    call mount, __NR_mount
    call mprotect, __NR_mprotect
    call mremap, __NR_mremap
    call msync, __NR_msync
    call munlock, __NR_munlock
    call munlockall, __NR_munlockall
    call munmap, __NR_munmap
    call nanosleep, __NR_nanosleep
    call open, __NR_open
    call openat, __NR_openat
    call pause, __NR_pause
    call personality, __NR_personality
    call pidfd_open, __NR_pidfd_open
    call pidfd_send_signal, __NR_pidfd_send_signal
    call pipe, __NR_pipe
    call pipe2, __NR_pipe2
    call pivot_root, __NR_pivot_root
    call poll, __NR_poll
    call prctl, __NR_prctl
    call pread, __NR_pread64
    call preadv, __NR_preadv
    call prlimit, __NR_prlimit64
    call pwrite, __NR_pwrite64
    call pwritev, __NR_pwritev
    call read, __NR_read
    call readlink, __NR_readlink
    call readlinkat, __NR_readlinkat
    call readv, __NR_readv
    call rename, __NR_rename
    call renameat, __NR_renameat
    call renameat2, __NR_renameat2
    call rmdir, __NR_rmdir
    call sched_get_priority_max, __NR_sched_get_priority_max
    call sched_get_priority_min, __NR_sched_get_priority_min
    call sched_setaffinity, __NR_sched_setaffinity
    call sched_yield, __NR_sched_yield
    call select, __NR_select
    call sendfile, __NR_sendfile
    call setdomainname, __NR_setdomainname
    call setgid, __NR_setgid
    call setgroups, __NR_setgroups
    call sethostname, __NR_sethostname
    call setitimer, __NR_setitimer
    call setns, __NR_setns
    call setpgid, __NR_setpgid
    call setpriority, __NR_setpriority
    call setregid, __NR_setregid
    call setresgid, __NR_setresgid
    call setresuid, __NR_setresuid
    call setreuid, __NR_setreuid
    call setrlimit, __NR_setrlimit
    call setsid, __NR_setsid
    call settimeofday, __NR_settimeofday
    call setuid, __NR_setuid
    call sigaltstack, __NR_sigaltstack
    call stat, __NR_stat
    call statfs, __NR_statfs
    call symlink, __NR_symlink
    call symlinkat, __NR_symlinkat
    call sync, __NR_sync
    call syncfs, __NR_syncfs
    call sysinfo, __NR_sysinfo
    call tgkill, __NR_tgkill
    call times, __NR_times
    call truncate, __NR_truncate
    call umask, __NR_umask
    call umount2, __NR_umount2
    call uname, __NR_uname
    call unlink, __NR_unlink
    call unlinkat, __NR_unlinkat
    call unshare, __NR_unshare
    call utimensat, __NR_utimensat
    call utimes, __NR_utimes
    call wait4, __NR_wait4
    call write, __NR_write
    call writev, __NR_writev

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
