/* Every pointer argument of every call: a bad one gives EFAULT and nothing else happens. */
#include "tests/guest/test.h"
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <linux/futex.h>

#define BAD 0x0badbadbadL /* stands for the bad pointer in the table */

enum { PIPE_OUT = 100, PIPE_IN, FILE_FD, DIR_FD, EPOLL_FD };

static char buffer[8192], name[] = "file", other[] = "other";
static struct timespec soon;
#define BUFFER (long)buffer
#define NAME (long)name
#define OTHER (long)other
#define AT AT_FDCWD

/* The last column: the kernel writes there, so a page that may only be read is as bad. */
static const struct {
    const char *what;
    long number, args[6];
    int written;
} calls[] = {
    {"read", SYS_read, {FILE_FD, BAD, 4}, 1},
    {"read from a pipe", SYS_read, {PIPE_OUT, BAD, 4}, 1},
    {"write", SYS_write, {FILE_FD, BAD, 4}, 0},
    {"write to a pipe", SYS_write, {PIPE_IN, BAD, 4}, 0},
    {"pread64", SYS_pread64, {FILE_FD, BAD, 4, 0}, 1},
    {"pwrite64", SYS_pwrite64, {FILE_FD, BAD, 4, 0}, 0},
    {"readv", SYS_readv, {FILE_FD, BAD, 1}, 0},
    {"writev", SYS_writev, {FILE_FD, BAD, 1}, 0},
    {"open", SYS_open, {BAD, O_RDONLY}, 0},
    {"openat", SYS_openat, {AT, BAD, O_RDONLY}, 0},
    {"creat", SYS_creat, {BAD, 0600}, 0},
    {"stat path", SYS_stat, {BAD, BUFFER}, 0},
    {"stat result", SYS_stat, {NAME, BAD}, 1},
    {"lstat path", SYS_lstat, {BAD, BUFFER}, 0},
    {"lstat result", SYS_lstat, {NAME, BAD}, 1},
    {"fstat", SYS_fstat, {FILE_FD, BAD}, 1},
    {"newfstatat path", SYS_newfstatat, {AT, BAD, BUFFER, 0}, 0},
    {"newfstatat result", SYS_newfstatat, {AT, NAME, BAD, 0}, 1},
    {"statfs path", SYS_statfs, {BAD, BUFFER}, 0},
    {"statfs result", SYS_statfs, {NAME, BAD}, 1},
    {"fstatfs", SYS_fstatfs, {FILE_FD, BAD}, 1},
    {"access", SYS_access, {BAD, R_OK}, 0},
    {"faccessat", SYS_faccessat, {AT, BAD, R_OK}, 0},
    {"getdents64", SYS_getdents64, {DIR_FD, BAD, 4096}, 1},
    {"getcwd", SYS_getcwd, {BAD, 4096}, 1},
    {"chdir", SYS_chdir, {BAD}, 0},
    {"chroot", SYS_chroot, {BAD}, 0},
    {"rename from", SYS_rename, {BAD, OTHER}, 0},
    {"rename to", SYS_rename, {NAME, BAD}, 0},
    {"renameat from", SYS_renameat, {AT, BAD, AT, OTHER}, 0},
    {"renameat to", SYS_renameat, {AT, NAME, AT, BAD}, 0},
    {"mkdir", SYS_mkdir, {BAD, 0700}, 0},
    {"mkdirat", SYS_mkdirat, {AT, BAD, 0700}, 0},
    {"rmdir", SYS_rmdir, {BAD}, 0},
    {"link from", SYS_link, {BAD, OTHER}, 0},
    {"link to", SYS_link, {NAME, BAD}, 0},
    {"linkat", SYS_linkat, {AT, NAME, AT, BAD, 0}, 0},
    {"unlink", SYS_unlink, {BAD}, 0},
    {"unlinkat", SYS_unlinkat, {AT, BAD, 0}, 0},
    {"symlink text", SYS_symlink, {BAD, OTHER}, 0},
    {"symlink path", SYS_symlink, {NAME, BAD}, 0},
    {"symlinkat", SYS_symlinkat, {BAD, AT, OTHER}, 0},
    {"readlink path", SYS_readlink, {BAD, BUFFER, 10}, 0},
    {"readlink result", SYS_readlink, {(long)"/proc/self/exe", BAD, 10}, 1},
    {"readlinkat", SYS_readlinkat, {AT, (long)"/proc/self/exe", BAD, 10}, 1},
    {"chmod", SYS_chmod, {BAD, 0600}, 0},
    {"fchmodat", SYS_fchmodat, {AT, BAD, 0600}, 0},
    {"chown", SYS_chown, {BAD, -1, -1}, 0},
    {"lchown", SYS_lchown, {BAD, -1, -1}, 0},
    {"fchownat", SYS_fchownat, {AT, BAD, -1, -1, 0}, 0},
    {"mknod", SYS_mknod, {BAD, 0010600, 0}, 0},
    {"mknodat", SYS_mknodat, {AT, BAD, 0010600, 0}, 0},
    {"truncate", SYS_truncate, {BAD, 0}, 0},
    {"utimensat path", SYS_utimensat, {AT, BAD, 0, 0}, 0},
    {"utimensat times", SYS_utimensat, {AT, NAME, BAD, 0}, 0},
    {"mount target", SYS_mount, {0, BAD, (long)"tmpfs", 0, 0}, 0},
    {"umount2", SYS_umount2, {BAD, 0}, 0},
    {"pivot_root", SYS_pivot_root, {BAD, NAME}, 0},
    {"fcntl lock", SYS_fcntl, {FILE_FD, F_GETLK, BAD}, 0},
    {"ioctl", SYS_ioctl, {PIPE_OUT, FIONREAD, BAD}, 1},
    {"pipe", SYS_pipe, {BAD}, 1},
    {"pipe2", SYS_pipe2, {BAD, 0}, 1},
    {"poll", SYS_poll, {BAD, 1, 0}, 0},
    {"ppoll time", SYS_ppoll, {0, 0, BAD, 0, 8}, 0},
    {"ppoll mask", SYS_ppoll, {0, 0, (long)&soon, BAD, 8}, 0},
    {"select set", SYS_select, {8, BAD, 0, 0, (long)&soon}, 0},
    {"select time", SYS_select, {0, 0, 0, 0, BAD}, 0},
    {"pselect6 time", SYS_pselect6, {0, 0, 0, 0, BAD, 0}, 0},
    {"epoll_ctl", SYS_epoll_ctl, {EPOLL_FD, EPOLL_CTL_ADD, PIPE_OUT, BAD}, 0},
    {"epoll_wait", SYS_epoll_wait, {EPOLL_FD, BAD, 1, 0}, 1},
    {"rt_sigaction new", SYS_rt_sigaction, {SIGUSR1, BAD, 0, 8}, 0},
    {"rt_sigaction old", SYS_rt_sigaction, {SIGUSR1, 0, BAD, 8}, 1},
    {"rt_sigprocmask new", SYS_rt_sigprocmask, {SIG_BLOCK, BAD, 0, 8}, 0},
    {"rt_sigprocmask old", SYS_rt_sigprocmask, {SIG_BLOCK, 0, BAD, 8}, 1},
    {"rt_sigpending", SYS_rt_sigpending, {BAD, 8}, 1},
    {"rt_sigsuspend", SYS_rt_sigsuspend, {BAD, 8}, 0},
    {"rt_sigtimedwait", SYS_rt_sigtimedwait, {BAD, 0, (long)&soon, 8}, 0},
    {"sigaltstack new", SYS_sigaltstack, {BAD, 0}, 0},
    {"sigaltstack old", SYS_sigaltstack, {0, BAD}, 1},
    {"nanosleep", SYS_nanosleep, {BAD, 0}, 0},
    {"clock_nanosleep", SYS_clock_nanosleep, {CLOCK_MONOTONIC, 0, BAD, 0}, 0},
    {"clock_gettime", SYS_clock_gettime, {CLOCK_MONOTONIC, BAD}, 1},
    {"clock_getres", SYS_clock_getres, {CLOCK_MONOTONIC, BAD}, 1},
    {"gettimeofday", SYS_gettimeofday, {BAD, 0}, 1},
    {"getitimer", SYS_getitimer, {ITIMER_REAL, BAD}, 1},
    {"setitimer", SYS_setitimer, {ITIMER_REAL, BAD, 0}, 0},
    {"times", SYS_times, {BAD}, 1},
    {"getrlimit", SYS_getrlimit, {RLIMIT_NOFILE, BAD}, 1},
    {"setrlimit", SYS_setrlimit, {RLIMIT_NOFILE, BAD}, 0},
    {"prlimit64 new", SYS_prlimit64, {0, RLIMIT_NOFILE, BAD, 0}, 0},
    {"prlimit64 old", SYS_prlimit64, {0, RLIMIT_NOFILE, 0, BAD}, 1},
    {"getrusage", SYS_getrusage, {RUSAGE_SELF, BAD}, 1},
    {"sysinfo", SYS_sysinfo, {BAD}, 1},
    {"uname", SYS_uname, {BAD}, 1},
    {"sethostname", SYS_sethostname, {BAD, 4}, 0},
    {"setgroups", SYS_setgroups, {1, BAD}, 0},
    {"getresuid", SYS_getresuid, {BAD, BUFFER, BUFFER}, 1},
    {"getresgid", SYS_getresgid, {BUFFER, BUFFER, BAD}, 1},
    {"capget", SYS_capget, {BAD, BUFFER}, 1},
    {"capset", SYS_capset, {BAD, BUFFER}, 0},
    {"prctl set name", SYS_prctl, {PR_SET_NAME, BAD}, 0},
    {"prctl get name", SYS_prctl, {PR_GET_NAME, BAD}, 1},
    {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, BAD}, 1},
    {"getrandom", SYS_getrandom, {BAD, 16, 0}, 1},
    {"memfd_create", SYS_memfd_create, {BAD, 0}, 0},
    {"execve path", SYS_execve, {BAD, 0, 0}, 0},
    {"execve arguments", SYS_execve, {(long)"/bin/true", BAD, 0}, 0},
    {"execve environment", SYS_execve, {(long)"/bin/true", 0, BAD}, 0},
};

static void set_up(void)
{
    int fds[2];
    enter_scratch();
    CHECK_OK(write_file(name, "some text in a file"));
    CHECK_EQ(dup2(open(name, O_RDWR), FILE_FD), FILE_FD);
    CHECK_EQ(dup2(open(".", O_RDONLY), DIR_FD), DIR_FD);
    CHECK_OK(pipe(fds));
    CHECK_EQ(dup2(fds[0], PIPE_OUT), PIPE_OUT);
    CHECK_EQ(dup2(fds[1], PIPE_IN), PIPE_IN);
    CHECK_EQ(write(PIPE_IN, "in the pipe", 11), 11);
    CHECK_EQ(dup2(epoll_create1(0), EPOLL_FD), EPOLL_FD);
    struct epoll_event event = {.events = EPOLLOUT};
    CHECK_OK(epoll_ctl(EPOLL_FD, EPOLL_CTL_ADD, PIPE_IN, &event));
}

static long call_with(size_t i, long bad)
{
    long a[6];
    for (int n = 0; n < 6; n++)
        a[n] = calls[i].args[n] == BAD ? bad : calls[i].args[n];
    return syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Every failing row is named before the test gives up. */
static void try_all(long bad, int only_written)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (only_written && !calls[i].written)
            continue;
        errno = 0;
        long result = call_with(i, bad);
        if (result == -1 && errno == EFAULT)
            continue;
        printf("    %s with %#lx: expected EFAULT, actual %ld, errno %d (%s)\n", calls[i].what, bad,
               result, errno, strerror(errno));
        failed++;
    }
    CHECK_EQ(failed, 0);
}

TEST(unmapped_pointers_give_efault)
{
    set_up();
    try_all(8, 0);
    try_all(0x7f0000001000, 0);
}

TEST(kernel_pointers_give_efault)
{
    set_up();
    try_all((long)0xffff888000000000, 0);
    try_all((long)0xffffffff80000000, 0);
    try_all(-8, 0);
}

TEST(pointers_that_are_no_addresses_give_efault)
{
    set_up();
    try_all((long)0x8000000000000000, 0);
    try_all(0x00007ffffffffff8, 0);
}

TEST(read_only_results_give_efault)
{
    set_up();
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    *(volatile char *)page;
    /* capget reads a version before it answers */
    char *valid = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_OK(mprotect(valid, 4096, PROT_READ));
    try_all((long)page, 1);
    for (int i = 0; i < 4096; i++)
        CHECK_EQ(page[i], 0);
}

TEST(path_that_runs_into_unmapped_memory_gives_efault)
{
    char *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_OK(munmap(at + 4096, 4096));
    memset(at, '/', 4096);
    CHECK_ERR(open(at + 4090, O_RDONLY), EFAULT);
    at[4095] = 0;
    CHECK(open(at + 4090, O_RDONLY) >= 0);
}

TEST(buffer_that_runs_into_unmapped_memory_moves_what_it_can)
{
    enter_scratch();
    char *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_OK(munmap(at + 4096, 4096));
    memset(buffer, 'f', sizeof buffer);
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    CHECK_EQ(write(fd, buffer, 8192), 8192);
    CHECK_EQ(pread(fd, at + 4000, 200, 0), 96);
    CHECK_EQ(at[4000], 'f');
    CHECK_EQ(at[4095], 'f');
    CHECK_EQ(pwrite(fd, at + 4000, 200, 0), 96);
    CHECK_ERR(pread(fd, at + 4096, 200, 0), EFAULT);
}

TEST(iovec_with_a_bad_part_gives_efault_or_what_came_before)
{
    set_up();
    struct iovec parts[2] = {{buffer, 4}, {(void *)8, 4}};
    CHECK_EQ(readv(FILE_FD, parts, 2), 4);
    CHECK_ERR(readv(FILE_FD, parts + 1, 1), EFAULT);
    parts[0].iov_len = (size_t)-1;
    CHECK_ERR(readv(FILE_FD, parts, 2), EINVAL);
    CHECK_ERR(readv(FILE_FD, parts, -1), EINVAL);
    CHECK_ERR(readv(FILE_FD, parts, 1025), EINVAL);
}

TEST(wait4_with_a_bad_status_pointer_gives_efault)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK_ERR(syscall(SYS_wait4, pid, 8, 0, 0), EFAULT);
}

TEST(futex_on_bad_words_is_refused)
{
    CHECK_ERR(syscall(SYS_futex, 8, FUTEX_WAIT, 0, &soon), EFAULT);
    CHECK_ERR(syscall(SYS_futex, 2, FUTEX_WAIT, 0, &soon), EINVAL);
    CHECK_ERR(syscall(SYS_futex, 0xffff888000000000, FUTEX_WAIT, 0, &soon), EFAULT);
    CHECK_ERR(syscall(SYS_futex, buffer, 127, 0, &soon), ENOSYS);
}

TEST(bad_memory_in_clone_and_set_tid_address_hurts_only_the_caller)
{
    int status;
    syscall(SYS_set_tid_address, 0xffff888000000000);
    IN_CHILD(status, syscall(SYS_set_tid_address, 0xffffffff80000000));
    CHECK_EQ(status, 0);
    IN_CHILD(status, syscall(SYS_arch_prctl, 0x1002, 0xffff888000000000));
    CHECK_ERR(syscall(SYS_arch_prctl, 0x1002, 0x8000000000000000), EPERM);
    CHECK_ERR(syscall(SYS_arch_prctl, 0x1003, 8), EFAULT);
    CHECK_ERR(syscall(SYS_arch_prctl, 0x7777, 8), EINVAL);
}
