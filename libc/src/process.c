/* Processes, signals, clocks and limits: calls whose library form differs from the kernel's. */
#include "port.h"
#include <errno.h>
#include <err.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/reboot.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static uintptr_t heap_end;

int brk(void *end)
{
    heap_end = (uintptr_t)RAW(__NR_brk, end, 0, 0, 0, 0, 0);
    return heap_end < (uintptr_t)end ? (int)viv_fail(-ENOMEM) : 0;
}

void *sbrk(ptrdiff_t increment)
{
    if (heap_end == 0)
        heap_end = (uintptr_t)RAW(__NR_brk, 0, 0, 0, 0, 0, 0);
    uintptr_t old = heap_end;
    if (increment && brk((void *)(old + (uintptr_t)increment)) < 0) {
        heap_end = old;
        return (void *)-1;
    }
    return (void *)old;
}

pid_t waitpid(pid_t pid, int *status, int options)
{
    return wait4(pid, status, options, NULL);
}

pid_t wait(int *status)
{
    return wait4(-1, status, 0, NULL);
}

pid_t wait3(int *status, int options, struct rusage *usage)
{
    return wait4(-1, status, options, usage);
}

int waitid(idtype_t kind, id_t id, siginfo_t *info, int options)
{
    return (int)checked(RAW(__NR_waitid, kind, id, info, options, NULL, 0));
}

int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

/* Try the directories of PATH in turn; a file that may not be run is remembered over one that is
 * not there. */
int execvpe(const char *file, char *const argv[], char *const envp[])
{
    const char *dirs = getenv("PATH");
    if (strchr(file, '/') || !*file)
        return execve(file, argv, envp);
    if (!dirs)
        dirs = "/bin:/sbin:/usr/bin:/usr/sbin";
    int problem = ENOENT;
    for (;;) {
        char path[PATH_MAX];
        int length = (int)strcspn(dirs, ":");
        if (snprintf(path, sizeof path, "%.*s%s%s", length, dirs, length ? "/" : "", file) <
            PATH_MAX)
            execve(path, argv, envp);
        if (errno == EACCES)
            problem = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            return -1;
        if (!dirs[length])
            break;
        dirs += length + 1;
    }
    errno = problem;
    return -1;
}

int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

/* argv of execl and its kin, from their variable arguments. */
#define COLLECT(argv, first, args)                                                                 \
    size_t count = 1;                                                                              \
    va_start(args, first);                                                                         \
    while (va_arg(args, char *))                                                                   \
        count++;                                                                                   \
    va_end(args);                                                                                  \
    char **argv = __builtin_alloca((count + 1) * sizeof *argv);                                    \
    argv[0] = (char *)(uintptr_t)first;                                                            \
    va_start(args, first);                                                                         \
    for (size_t i = 1; i <= count; i++)                                                            \
    argv[i] = va_arg(args, char *)

int execl(const char *path, const char *arg, ...)
{
    va_list args;
    COLLECT(argv, arg, args);
    va_end(args);
    return execve(path, argv, environ);
}

int execlp(const char *file, const char *arg, ...)
{
    va_list args;
    COLLECT(argv, arg, args);
    va_end(args);
    return execvpe(file, argv, environ);
}

int execle(const char *path, const char *arg, ...)
{
    va_list args;
    COLLECT(argv, arg, args);
    char **envp = va_arg(args, char **);
    va_end(args);
    return execve(path, argv, envp);
}

int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    struct sigaction with_restorer;
    if (act) {
        with_restorer = *act;
        with_restorer.sa_flags |= SA_RESTORER;
        with_restorer.sa_restorer = viv_restorer;
        act = &with_restorer;
    }
    return (int)checked(RAW(__NR_rt_sigaction, sig, act, old, sizeof(sigset_t), 0, 0));
}

_sig_func_ptr signal(int sig, _sig_func_ptr handler)
{
    struct sigaction act = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;
    return sigaction(sig, &act, &old) < 0 ? SIG_ERR : old.sa_handler;
}

int raise(int sig)
{
    return (int)checked(
        RAW(__NR_tgkill, getpid(), RAW(__NR_gettid, 0, 0, 0, 0, 0, 0), sig, 0, 0, 0));
}

int killpg(pid_t group, int sig)
{
    return kill(-group, sig);
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    return (int)checked(RAW(__NR_rt_sigprocmask, how, set, old, sizeof *set, 0, 0));
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    return (int)-RAW(__NR_rt_sigprocmask, how, set, old, sizeof *set, 0, 0);
}

int sigpending(sigset_t *set)
{
    return (int)checked(RAW(__NR_rt_sigpending, set, sizeof *set, 0, 0, 0, 0));
}

int sigsuspend(const sigset_t *mask)
{
    return (int)checked(RAW(__NR_rt_sigsuspend, mask, sizeof *mask, 0, 0, 0, 0));
}

int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    return (int)checked(RAW(__NR_rt_sigtimedwait, set, info, timeout, sizeof *set, 0, 0));
}

int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
    return sigtimedwait(set, info, NULL);
}

int sigwait(const sigset_t *set, int *sig)
{
    int got;
    do
        got = sigtimedwait(set, NULL, NULL);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno;
    *sig = got;
    return 0;
}

int sigqueue(pid_t pid, int sig, const union sigval value)
{
    siginfo_t info = {.si_signo = sig, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value = value;
    return (int)checked(RAW(__NR_rt_sigqueueinfo, pid, sig, &info, 0, 0, 0));
}

int sigemptyset(sigset_t *set)
{
    *set = 0;
    return 0;
}

int sigfillset(sigset_t *set)
{
    *set = ~0UL;
    return 0;
}

int sigaddset(sigset_t *set, int sig)
{
    if (sig < 1 || sig > SIGRTMAX)
        return (int)viv_fail(-EINVAL);
    *set |= 1UL << (sig - 1);
    return 0;
}

int sigdelset(sigset_t *set, int sig)
{
    if (sig < 1 || sig > SIGRTMAX)
        return (int)viv_fail(-EINVAL);
    *set &= ~(1UL << (sig - 1));
    return 0;
}

int sigismember(const sigset_t *set, int sig)
{
    return sig >= 1 && sig <= SIGRTMAX && (*set >> (sig - 1) & 1);
}

void psignal(int sig, const char *text)
{
    fprintf(stderr, "%s: %s\n", text, strsignal(sig));
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *want, struct timespec *left)
{
    return (int)-RAW(__NR_clock_nanosleep, clock, flags, want, left, 0, 0);
}

unsigned int sleep(unsigned int seconds)
{
    struct timespec time = {.tv_sec = seconds};
    return nanosleep(&time, &time) < 0 ? (unsigned int)time.tv_sec : 0;
}

int usleep(useconds_t microseconds)
{
    struct timespec time = {(time_t)(microseconds / 1000000),
                            (long)(microseconds % 1000000) * 1000};
    return nanosleep(&time, NULL);
}

int getpriority(int which, id_t who)
{
    long result = checked(RAW(__NR_getpriority, which, who, 0, 0, 0, 0));
    return result < 0 ? -1 : 20 - (int)result;
}

int nice(int increment)
{
    errno = 0;
    int now = getpriority(PRIO_PROCESS, 0);
    if (setpriority(PRIO_PROCESS, 0, now + increment) < 0)
        return (int)viv_fail(-EPERM);
    return getpriority(PRIO_PROCESS, 0);
}

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    long copied = checked(RAW(__NR_sched_getaffinity, pid, size, set, 0, 0, 0));
    if (copied < 0)
        return -1;
    memset((char *)set + copied, 0, size - (size_t)copied);
    return 0;
}

int sched_getcpu(void)
{
    unsigned int cpu;
    return checked(RAW(__NR_getcpu, &cpu, NULL, NULL, 0, 0, 0)) < 0 ? -1 : (int)cpu;
}

int reboot(int command)
{
    return (int)checked(
        RAW(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command, NULL, 0, 0));
}

int gethostname(char *name, size_t size)
{
    struct utsname system;
    if (uname(&system) < 0)
        return -1;
    if (strlen(system.nodename) >= size)
        return (int)viv_fail(-ENAMETOOLONG);
    strcpy(name, system.nodename);
    return 0;
}

int get_nprocs(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : CPU_COUNT(&set);
}

int get_nprocs_conf(void)
{
    return get_nprocs();
}

int getpagesize(void)
{
    return 4096;
}

long sysconf(int name)
{
    struct sysinfo info;
    struct rlimit limit;
    switch (name) {
    case _SC_PAGESIZE:
        return getpagesize();
    case _SC_CLK_TCK:
        return 100;
    case _SC_ARG_MAX:
        return ARG_MAX;
    case _SC_NPROCESSORS_CONF:
    case _SC_NPROCESSORS_ONLN:
        return get_nprocs();
    case _SC_OPEN_MAX:
        return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? -1 : (long)limit.rlim_cur;
    case _SC_PHYS_PAGES:
        return sysinfo(&info) < 0 ? -1 : (long)(info.totalram * info.mem_unit / 4096);
    case _SC_AVPHYS_PAGES:
        return sysinfo(&info) < 0 ? -1 : (long)(info.freeram * info.mem_unit / 4096);
    case _SC_GETPW_R_SIZE_MAX:
    case _SC_GETGR_R_SIZE_MAX:
        return 1024;
    default:
        return viv_fail(-EINVAL);
    }
}

static void complain(int number, const char *format, va_list args)
{
    fflush(stdout);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, args);
    if (number)
        fprintf(stderr, ": %s", strerror(number));
    fputc('\n', stderr);
}

#define COMPLAIN(number)                                                                           \
    va_list args;                                                                                  \
    va_start(args, format);                                                                        \
    complain(number, format, args);                                                                \
    va_end(args)

void warn(const char *format, ...)
{
    COMPLAIN(errno);
}

void warnx(const char *format, ...)
{
    COMPLAIN(0);
}

void err(int status, const char *format, ...)
{
    COMPLAIN(errno);
    exit(status);
}

void errx(int status, const char *format, ...)
{
    COMPLAIN(0);
    exit(status);
}

int clearenv(void)
{
    static char *empty[1];
    environ = empty;
    return 0;
}

void siglongjmp(sigjmp_buf env, int value)
{
    if (env->masked)
        sigprocmask(SIG_SETMASK, &env->mask, NULL);
    longjmp(env->registers, value);
}
