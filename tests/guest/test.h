/* The library of the tests of the Linux ABI. A test is a function named after the promise it
 * checks:
 *
 *     TEST(fork_gives_the_child_zero) { CHECK_EQ(..., ...); }
 *
 * Each runs in a process of its own, in a session that is killed afterwards, with a limit of LIMIT
 * seconds. It fails at the first check that does not hold, which prints where, what was expected
 * and what was found. The program's exit status is 0 only if every test passed; with arguments it
 * runs only the tests whose names contain one of them. */
#ifndef TESTS_GUEST_TEST_H
#define TESTS_GUEST_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef LIMIT
#define LIMIT 20
#endif
#define SKIPPED 77

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};
__attribute__((unused)) static struct test *tests, **tests_end = &tests;

#define TEST(function)                                                                             \
    static void function(void);                                                                    \
    __attribute__((constructor)) static void add_##function(void)                                  \
    {                                                                                              \
        static struct test test = {#function, function, NULL};                                     \
        *tests_end = &test;                                                                        \
        tests_end = &test.next;                                                                    \
    }                                                                                              \
    static void function(void)

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        printf("    %s:%d: ", __FILE__, __LINE__);                                                 \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        fflush(stdout);                                                                            \
        _exit(1);                                                                                  \
    } while (0)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if (!(condition))                                                                          \
            FAIL("expected %s (errno %d: %s)", #condition, errno, strerror(errno));                \
    } while (0)

#define CHECK_EQ(actual, expected)                                                                 \
    do {                                                                                           \
        long long actual_ = (long long)(actual), expected_ = (long long)(expected);                \
        if (actual_ != expected_)                                                                  \
            FAIL("%s: expected %lld (%#llx), actual %lld (%#llx), errno %d: %s", #actual,          \
                 expected_, expected_, actual_, actual_, errno, strerror(errno));                  \
    } while (0)

#define CHECK_OK(call) CHECK_EQ(call, 0)

#define CHECK_ERR(call, number)                                                                    \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long long result_ = (long long)(call);                                                     \
        int errno_ = errno;                                                                        \
        if (result_ != -1 || errno_ != (number))                                                   \
            FAIL("%s: expected -1 and %s, actual %lld and errno %d (%s)", #call, #number, result_, \
                 errno_, strerror(errno_));                                                        \
    } while (0)

#define CHECK_STR(actual, expected)                                                                \
    do {                                                                                           \
        const char *actual_ = (actual), *expected_ = (expected);                                   \
        if (!actual_ || strcmp(actual_, expected_) != 0)                                           \
            FAIL("%s: expected \"%s\", actual \"%s\"", #actual, expected_,                         \
                 actual_ ? actual_ : "(null)");                                                    \
    } while (0)

/* For what this machine or user cannot do: a host's lack of a privilege, never a defect of the
 * kernel tested. */
#define SKIP(reason)                                                                               \
    do {                                                                                           \
        printf("    skipped: %s\n", reason);                                                       \
        fflush(stdout);                                                                            \
        _exit(SKIPPED);                                                                            \
    } while (0)

static pid_t last_child;

__attribute__((unused)) static pid_t spawn(void)
{
    fflush(stdout);
    last_child = fork();
    CHECK(last_child >= 0);
    return last_child;
}

__attribute__((unused)) static int reap(void)
{
    int status;
    CHECK_EQ(waitpid(last_child, &status, 0), last_child);
    return status;
}

/* Run a statement in a child; `status` gets its wait status. */
#define IN_CHILD(status, ...)                                                                      \
    do {                                                                                           \
        if (spawn() == 0) {                                                                        \
            __VA_ARGS__;                                                                           \
            fflush(stdout);                                                                        \
            _exit(0);                                                                              \
        }                                                                                          \
        (status) = reap();                                                                         \
    } while (0)

/* The same, and the child must end with status 0: for checks that need a process of their own. */
#define CHILD_PASSES(...)                                                                          \
    do {                                                                                           \
        if (spawn() == 0) {                                                                        \
            __VA_ARGS__;                                                                           \
            fflush(stdout);                                                                        \
            _exit(0);                                                                              \
        }                                                                                          \
        int passed_ = reap();                                                                      \
        if (passed_ == SKIPPED << 8)                                                               \
            _exit(SKIPPED);                                                                        \
        CHECK_EQ(passed_, 0);                                                                      \
    } while (0)

__attribute__((unused)) static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&time, &time) < 0 && errno == EINTR)
        ;
}

__attribute__((unused)) static long long now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* The whole of a small file as a string in a static buffer, or NULL. */
__attribute__((unused)) static char *read_file(const char *path)
{
    static char text[65536];
    ssize_t length = 0, got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    while (length < (ssize_t)sizeof text - 1 &&
           (got = read(fd, text + length, sizeof text - 1 - (size_t)length)) > 0)
        length += got;
    close(fd);
    text[length] = 0;
    return got < 0 ? NULL : text;
}

/* 0, or -1 with errno of what failed. */
__attribute__((unused)) static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    ssize_t wrote = write(fd, text, strlen(text));
    int problem = errno;
    close(fd);
    errno = problem;
    return wrote == (ssize_t)strlen(text) ? 0 : -1;
}

/* Go to a new empty directory, which the runner removes. */
static char scratch[64];
__attribute__((unused)) static void enter_scratch(void)
{
    CHECK_OK(chdir(scratch));
}

__attribute__((unused)) static void *stack_top;

__attribute__((unused)) static int run_test(const struct test *test)
{
    int status;
    char command[100];
    snprintf(scratch, sizeof scratch, "/tmp/viv-test-%d", getpid());
    mkdir(scratch, 0755);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        alarm(LIMIT);
        test->run();
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    kill(-pid, SIGKILL);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    if (rmdir(scratch) < 0 && system(command) != 0)
        printf("    %s could not be removed\n", scratch);
    if (status == 0 || status == SKIPPED << 8) {
        printf("%s %s\n", status ? "skip" : "ok  ", test->name);
        return 0;
    }
    if (WIFSIGNALED(status))
        printf("    killed by signal %d%s\n", WTERMSIG(status),
               WTERMSIG(status) == SIGALRM ? ": took too long" : "");
    printf("FAIL %s\n", test->name);
    return 1;
}

/* OWN_MAIN: a program of another kind, which uses the checks alone. */
#ifndef OWN_MAIN
int main(int argc, char **argv)
{
    int failed = 0, ran = 0;
    stack_top = &failed;
    for (struct test *test = tests; test; test = test->next) {
        int wanted = argc < 2;
        for (int i = 1; i < argc; i++)
            wanted |= strstr(test->name, argv[i]) != NULL;
        if (!wanted)
            continue;
        ran++;
        failed += run_test(test);
    }
    printf("%d passed, %d failed\n", ran - failed, failed);
    return failed != 0;
}
#endif

#endif
