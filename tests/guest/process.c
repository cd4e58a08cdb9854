/* Making, running, waiting for and ending processes. */
#include "tests/guest/test.h"
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static volatile int shared_by_fork = 1;

TEST(fork_shares_pages_until_written)
{
    int status;
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    strcpy(page, "before");
    IN_CHILD(status, CHECK_STR(page, "before"); strcpy(page, "child"); shared_by_fork = 2;
             CHECK_STR(page, "child"); _exit(shared_by_fork));
    CHECK_EQ(status, 2 << 8);
    CHECK_STR(page, "before");
    CHECK_EQ(shared_by_fork, 1);
    strcpy(page, "parent");
    CHECK_STR(page, "parent");
}

TEST(fork_gives_the_child_zero_and_the_parent_its_pid)
{
    int fds[2];
    pid_t reported;
    CHECK_OK(pipe(fds));
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        pid_t mine[2] = {getpid(), getppid()};
        _exit(write(fds[1], mine, sizeof mine) != sizeof mine);
    }
    CHECK(pid > 0 && pid != parent);
    CHECK_EQ(read(fds[0], &reported, sizeof reported), sizeof reported);
    CHECK_EQ(reported, pid);
    CHECK_EQ(read(fds[0], &reported, sizeof reported), sizeof reported);
    CHECK_EQ(reported, parent);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

TEST(wait_status_tells_exit_from_signal)
{
    int status;
    for (int code = 0; code < 256; code += 51) {
        IN_CHILD(status, _exit(code));
        CHECK_EQ(status, code << 8);
    }
    IN_CHILD(status, _exit(0x1234));
    CHECK_EQ(status, 0x34 << 8);
    IN_CHILD(status, signal(SIGTERM, SIG_DFL); raise(SIGTERM));
    CHECK_EQ(status & 0x7f, SIGTERM);
    CHECK(WIFSIGNALED(status) && !WIFEXITED(status));
    IN_CHILD(status, kill(getpid(), SIGKILL); pause());
    CHECK_EQ(WTERMSIG(status), SIGKILL);
}

TEST(wait_reports_stopped_and_continued_children)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        raise(SIGSTOP);
        _exit(7);
    }
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGSTOP);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
    CHECK_OK(kill(pid, SIGCONT));
    CHECK_EQ(waitpid(pid, &status, WCONTINUED | WUNTRACED), pid);
    if (WIFCONTINUED(status))
        CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    CHECK_OK(kill(pid, SIGCONT));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 7 << 8);
}

TEST(wait_picks_the_child_that_was_asked_for)
{
    int status;
    pid_t first = fork();
    if (first == 0)
        _exit(1);
    pid_t second = fork();
    if (second == 0) {
        setpgid(0, 0);
        _exit(2);
    }
    setpgid(second, second);
    CHECK_EQ(waitpid(-second, &status, 0), second);
    CHECK_EQ(status, 2 << 8);
    CHECK_EQ(waitpid(0, &status, 0), first);
    CHECK_ERR(waitpid(-1, &status, 0), ECHILD);
    CHECK_ERR(waitpid(first, &status, 0), ECHILD);
    CHECK_ERR(waitpid(-1, &status, 0x40), EINVAL);
}

TEST(wait_without_hang_returns_zero_while_the_child_runs)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
}

TEST(wait4_fills_rusage)
{
    struct rusage usage;
    memset(&usage, 0xff, sizeof usage);
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec used = {0};
        while (used.tv_nsec < 60000000 && used.tv_sec == 0)
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        _exit(0);
    }
    CHECK_EQ(wait4(pid, NULL, 0, &usage), pid);
    long ms = usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000 +
              usage.ru_stime.tv_sec * 1000 + usage.ru_stime.tv_usec / 1000;
    CHECK(ms >= 40 && ms < 5000);
}

TEST(waitid_fills_siginfo_and_can_leave_the_child_waitable)
{
    siginfo_t info = {0};
    pid_t pid = fork();
    if (pid == 0)
        _exit(42);
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_signo, SIGCHLD);
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(info.si_status, 42);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

TEST(ignored_sigchld_reaps_children_by_itself)
{
    signal(SIGCHLD, SIG_IGN);
    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
}

TEST(vfork_suspends_the_parent_and_shares_its_memory)
{
    static volatile int seen;
    seen = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        seen = 1;
        _exit(9);
    }
    CHECK_EQ(seen, 1);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 9 << 8);
}

TEST(vfork_then_exec_releases_the_parent)
{
    int status;
    char *argv[] = {"true", NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        execve("/bin/true", argv, environ);
        _exit(99);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

TEST(orphans_go_to_the_nearest_subreaper)
{
    int fds[2];
    pid_t orphan;
    CHECK_OK(pipe(fds));
    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid_t pid = fork();
    if (pid == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            sleep_ms(50);
            _exit(5);
        }
        _exit(write(fds[1], &grandchild, sizeof grandchild) != sizeof grandchild);
    }
    CHECK_EQ(read(fds[0], &orphan, sizeof orphan), sizeof orphan);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    int status;
    CHECK_EQ(waitpid(orphan, &status, 0), orphan);
    CHECK_EQ(status, 5 << 8);
}

TEST(sessions_and_groups_follow_the_rules)
{
    pid_t me = getpid();
    CHECK_EQ(getsid(0), me);
    CHECK_EQ(getpgrp(), me);
    CHECK_ERR(setsid(), EPERM);
    CHECK_ERR(setpgid(0, 0), EPERM); /* a session leader stays */
    CHECK_ERR(setpgid(me, -1), EINVAL);
    CHECK_ERR(getpgid(0x3fffffff), ESRCH);
    CHILD_PASSES(CHECK_EQ(getpgrp(), me); CHECK_OK(setpgid(0, 0)); CHECK_EQ(getpgrp(), getpid());
                 CHECK_OK(setpgid(0, me)); CHECK_EQ(getpgid(0), me); CHECK_EQ(setsid(), getpid());
                 CHECK_ERR(setpgid(0, me), EPERM));
}

TEST(getrlimit_and_prlimit_agree)
{
    struct rlimit limit, old;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    CHECK(limit.rlim_cur > 0 && limit.rlim_cur <= limit.rlim_max);
    struct rlimit lower = {16, limit.rlim_max};
    CHECK_OK(prlimit(0, RLIMIT_NOFILE, &lower, &old));
    CHECK_EQ(old.rlim_cur, limit.rlim_cur);
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    CHECK_EQ(limit.rlim_cur, 16);
    int fd, last = -1;
    while ((fd = dup(0)) >= 0)
        last = fd;
    CHECK_ERR(dup(0), EMFILE);
    CHECK_EQ(last, 15);
    CHECK_ERR(getrlimit(99, &limit), EINVAL);
    limit.rlim_cur = limit.rlim_max + 1;
    CHECK_ERR(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
    CHECK_OK(getrlimit(RLIMIT_STACK, &limit));
    CHECK(limit.rlim_cur >= 1 << 20);
}

TEST(process_name_can_be_set_and_read)
{
    char name[16] = "";
    CHECK_OK(prctl(PR_SET_NAME, "a-new-name-that-is-long"));
    CHECK_OK(prctl(PR_GET_NAME, name));
    CHECK_STR(name, "a-new-name-that");
}

static pid_t thread_id;
static int clone_body(void *arg)
{
    thread_id = gettid();
    *(int *)arg = getpid();
    return 11;
}

TEST(clone_without_flags_is_fork_and_returns_the_functions_result)
{
    static char stack[65536] __attribute__((aligned(16)));
    int status, pid_seen = 0;
    pid_t pid = clone(clone_body, stack + sizeof stack, SIGCHLD, &pid_seen);
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 11 << 8);
    CHECK_EQ(pid_seen, 0);
}

TEST(clone_vm_shares_memory_and_clone_parent_settid_writes_the_tid)
{
    static char stack[65536] __attribute__((aligned(16)));
    int pid_seen = 0, status;
    pid_t told = 0;
    pid_t pid = clone(clone_body, stack + sizeof stack, CLONE_VM | CLONE_PARENT_SETTID | SIGCHLD,
                      &pid_seen, &told, NULL, NULL);
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(pid_seen, pid);
    CHECK_EQ(told, pid);
    CHECK_EQ(thread_id, pid);
}

TEST(clone_refuses_flags_that_do_not_fit_together)
{
    CHECK_ERR(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
    CHECK_ERR(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0), EINVAL);
    CHECK_ERR(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS | SIGCHLD, 0, 0, 0, 0), EINVAL);
}

TEST(exit_group_ends_all_and_closes_descriptors)
{
    int fds[2], status;
    char byte;
    CHECK_OK(pipe(fds));
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        syscall(SYS_exit_group, 0x17);
    }
    close(fds[1]);
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0x17 << 8);
}

TEST(many_children_come_and_go)
{
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 10; i++)
            if (fork() == 0)
                _exit(i);
        int sum = 0, status;
        while (waitpid(-1, &status, 0) > 0)
            sum += WEXITSTATUS(status);
        CHECK_EQ(sum, 45);
    }
}

TEST(affinity_names_at_least_one_cpu)
{
    cpu_set_t set;
    CHECK_OK(sched_getaffinity(0, sizeof set, &set));
    CHECK(CPU_COUNT(&set) >= 1);
    CHECK_OK(sched_yield());
}
