/* execve: what the new program finds, what it keeps and what it loses, and which files are refused.
 */
#include "tests/guest/test.h"
#include <elf.h>
#include <limits.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* This very program, run again as `exec --as ROLE ...`, plays a role before main's tests begin. */
static int play(int argc, char **argv);
__attribute__((constructor)) static void roles(void)
{
    static char line[16384], *argv[64];
    int fd = open("/proc/self/cmdline", O_RDONLY), argc = 0;
    ssize_t length = read(fd, line, sizeof line);
    close(fd);
    for (char *arg = line; arg < line + length && argc < 63; arg += strlen(arg) + 1)
        argv[argc++] = arg;
    if (argc >= 3 && strcmp(argv[1], "--as") == 0)
        _exit(play(argc, argv));
}

static char *const self = "/proc/self/exe";
#define COMMA ,

/* Run this program in a role and give its exit status. */
static int run_as(const char *role, const char *arg)
{
    int status;
    char *argv[] = {"exec", "--as", (char *)(uintptr_t)role, (char *)(uintptr_t)arg, NULL};
    char *envp[] = {"COLOUR=green", "EMPTY=", NULL};
    IN_CHILD(status, execve(self, argv, envp); FAIL("execve: %s", strerror(errno)));
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int play_arguments(int argc, char **argv)
{
    CHECK_EQ(argc, 4);
    CHECK_STR(argv[0], "exec");
    CHECK_STR(argv[3], "last one");
    CHECK_STR(getenv("COLOUR"), "green");
    CHECK_STR(getenv("EMPTY"), "");
    CHECK(environ[2] == NULL);
    return 0;
}

/* The kernel's part of the initial stack: see the System V ABI, x86-64, figure 3.9. */
static int play_auxv(void)
{
    CHECK_EQ(getauxval(AT_PAGESZ), 4096);
    CHECK_EQ(getauxval(AT_PHENT), sizeof(Elf64_Phdr));
    CHECK(getauxval(AT_PHNUM) >= 2);
    CHECK_EQ(getauxval(AT_UID), getuid());
    CHECK_EQ(getauxval(AT_EUID), geteuid());
    CHECK_EQ(getauxval(AT_GID), getgid());
    CHECK_EQ(getauxval(AT_EGID), getegid());
    CHECK_EQ(getauxval(AT_SECURE), 0);
    CHECK_EQ(getauxval(AT_CLKTCK), 100);
    CHECK_EQ(getauxval(AT_BASE), 0);
    CHECK(getauxval(AT_HWCAP) != 0);
    CHECK_STR((char *)getauxval(AT_EXECFN), "/proc/self/exe");
    CHECK_STR((char *)getauxval(AT_PLATFORM), "x86_64");
    const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
    CHECK(random != NULL);
    int sum = 0;
    for (int i = 0; i < 16; i++)
        sum |= random[i];
    CHECK(sum != 0);
    extern char _start[];
    CHECK_EQ(getauxval(AT_ENTRY), (uintptr_t)_start);
    const Elf64_Phdr *header = (const Elf64_Phdr *)getauxval(AT_PHDR);
    int loads = 0;
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
        loads += header[i].p_type == PT_LOAD;
    CHECK(loads >= 2);
    return 0;
}

static int play(int argc, char **argv)
{
    const char *role = argv[2];
    if (strcmp(role, "arguments") == 0)
        return play_arguments(argc, argv);
    if (strcmp(role, "auxv") == 0)
        return play_auxv();
    if (strcmp(role, "is-open") == 0)
        return fcntl(atoi(argv[3]), F_GETFD) >= 0;
    if (strcmp(role, "handler") == 0) {
        struct sigaction act;
        sigaction(SIGUSR1, NULL, &act);
        int reset = act.sa_handler == SIG_DFL;
        sigaction(SIGUSR2, NULL, &act);
        return reset && act.sa_handler == SIG_IGN;
    }
    if (strcmp(role, "mask") == 0) {
        sigset_t mask, pending;
        sigprocmask(SIG_BLOCK, NULL, &mask);
        sigpending(&pending);
        return sigismember(&mask, SIGUSR1) && sigismember(&pending, SIGUSR1);
    }
    if (strcmp(role, "pid") == 0)
        return getpid() == atoi(argv[3]);
    if (strcmp(role, "fpu") == 0) {
        unsigned int mxcsr;
        unsigned short control;
        __asm__("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(control));
        return mxcsr == 0x1f80 && control == 0x37f;
    }
    return 99;
}

TEST(exec_passes_arguments_and_environment)
{
    CHECK_EQ(run_as("arguments", "last one"), 0);
}

TEST(exec_fills_the_auxiliary_vector)
{
    CHECK_EQ(run_as("auxv", NULL), 0);
}

TEST(exec_starts_with_fresh_fpu_state)
{
    unsigned int mxcsr = 0x9fc0;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    CHECK_EQ(run_as("fpu", NULL), 1);
}

TEST(exec_closes_only_close_on_exec_descriptors)
{
    char number[12];
    int kept = open("/dev/null", O_RDONLY);
    int lost = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(fcntl(kept, F_GETFD), 0);
    CHECK_EQ(fcntl(lost, F_GETFD), FD_CLOEXEC);
    snprintf(number, sizeof number, "%d", kept);
    CHECK_EQ(run_as("is-open", number), 1);
    snprintf(number, sizeof number, "%d", lost);
    CHECK_EQ(run_as("is-open", number), 0);
    CHECK_OK(fcntl(lost, F_SETFD, 0));
    CHECK_EQ(run_as("is-open", number), 1);
}

TEST(exec_resets_handlers_and_keeps_ignored_signals)
{
    signal(SIGUSR1, _exit);
    signal(SIGUSR2, SIG_IGN);
    CHECK_EQ(run_as("handler", NULL), 1);
}

TEST(exec_keeps_mask_and_pending_signals)
{
    int status;
    char *argv[] = {"exec", "--as", "mask", NULL};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    IN_CHILD(status, sigprocmask(SIG_BLOCK, &set, NULL); raise(SIGUSR1); execv(self, argv));
    CHECK_EQ(status, 1 << 8);
}

TEST(exec_keeps_the_pid)
{
    char number[12];
    int status;
    IN_CHILD(status, snprintf(number, sizeof number, "%d", getpid());
             char *argv[] = {"exec" COMMA "--as" COMMA "pid" COMMA number COMMA NULL};
             execv(self, argv));
    CHECK_EQ(status, 1 << 8);
}

TEST(exec_refuses_what_is_no_program)
{
    char *argv[] = {"x", NULL};
    enter_scratch();
    CHECK_ERR(execv("missing", argv), ENOENT);
    CHECK_ERR(execv("", argv), ENOENT);
    CHECK_ERR(execv("/", argv), EACCES);
    CHECK_OK(write_file("text", "just text\n"));
    CHECK_ERR(execv("text", argv), EACCES);
    CHECK_OK(chmod("text", 0755));
    CHECK_ERR(execv("text", argv), ENOEXEC);
    CHECK_ERR(execv("text/below", argv), ENOTDIR);
    CHECK_OK(write_file("empty", ""));
    CHECK_OK(chmod("empty", 0755));
    CHECK_ERR(execv("empty", argv), ENOEXEC);
    CHECK_ERR(syscall(SYS_execve, 1, argv, environ), EFAULT);
    CHECK_ERR(syscall(SYS_execve, "/bin/true", 8, environ), EFAULT);
}

TEST(exec_of_a_script_runs_its_interpreter)
{
    int status;
    char *argv[] = {"ignored", "two", NULL};
    enter_scratch();
    CHECK_OK(write_file("script",
                        "#!/bin/sh -e\n[ \"$0 $1\" = \"./script two\" ] && exit 33\nexit 1\n"));
    CHECK_OK(chmod("script", 0755));
    IN_CHILD(status, execv("./script", argv));
    CHECK_EQ(status, 33 << 8);
    CHECK_OK(write_file("script", "#!/no/such/interpreter\n"));
    CHECK_ERR(execv("./script", argv), ENOENT);
    CHECK_OK(write_file("script", "#!./script\n"));
    CHECK_ERR(execv("./script", argv), ELOOP);
}

TEST(exec_takes_long_arguments_and_refuses_too_long_ones)
{
    static char big[100000], *argv[1100];
    int status;
    memset(big, 'a', sizeof big - 1);
    argv[0] = "true";
    for (int i = 1; i < 10; i++)
        argv[i] = big;
    IN_CHILD(status, execv("/bin/true", argv));
    CHECK_EQ(status, 0);
    for (int i = 10; i < 1099; i++)
        argv[i] = big;
    CHECK_ERR(execv("/bin/true", argv), E2BIG);
}

TEST(exec_of_a_file_open_for_writing_is_refused)
{
    char *argv[] = {"copy", NULL};
    enter_scratch();
    CHECK_OK(system("cp /bin/busybox copy"));
    int fd = open("copy", O_WRONLY);
    CHECK(fd >= 0);
    CHECK_ERR(execv("./copy", argv), ETXTBSY);
    close(fd);
    CHECK_ERR(open("/proc/self/exe", O_WRONLY), ETXTBSY);
}
