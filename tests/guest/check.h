#pragma once
/*
 * Checks for programs that run inside. A test is a function named after the promise it checks; RUN
 * it, and end main with CHECK_DONE. A failed check prints where, what was got and what was
 * expected, and the test goes on; a failed MUST ends the program. Output: "ok NAME" or "FAIL NAME"
 * a test. Exit status: 0 when all hold, else 1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_failures;

static inline void check_eq(const char *file, int line, const char *what, unsigned long long got,
                            unsigned long long expected)
{
    if (got == expected)
        return;
    printf("%s:%d: %s is 0x%llx (%lld), expected 0x%llx (%lld)\n", file, line, what, got,
           (long long)got, expected, (long long)expected);
    check_failures++;
}

static inline void check_true(const char *file, int line, const char *what, int holds)
{
    if (holds)
        return;
    printf("%s:%d: does not hold: %s\n", file, line, what);
    check_failures++;
}

static inline void check_str(const char *file, int line, const char *what, const char *got,
                             const char *expected)
{
    if (!strcmp(got, expected))
        return;
    printf("%s:%d: %s is \"%s\", expected \"%s\"\n", file, line, what, got, expected);
    check_failures++;
}

static inline void check_must(const char *file, int line, const char *what, int holds)
{
    if (holds)
        return;
    printf("%s:%d: cannot go on without: %s (errno %d, %s)\n", file, line, what, errno,
           strerror(errno));
    fflush(stdout);
    exit(1);
}

static inline void check_run(const char *name, void (*test)(void))
{
    int before = check_failures;

    test();
    printf("%s %s\n", check_failures == before ? "ok" : "FAIL", name);
    fflush(stdout);
}

#define CHECK_EQ(got, expected)                                                                    \
    check_eq(__FILE__, __LINE__, #got, (unsigned long long)(got), (unsigned long long)(expected))
#define CHECK_STR(got, expected) check_str(__FILE__, __LINE__, #got, got, expected)
#define CHECK(expression) check_true(__FILE__, __LINE__, #expression, !!(expression))
/* The call fails with this errno. */
#define CHECK_ERRNO(call, expected)                                                                \
    do {                                                                                           \
        errno = 0;                                                                                 \
        CHECK_EQ((call), -1);                                                                      \
        CHECK_EQ(errno, expected);                                                                 \
    } while (0)
#define MUST(expression) check_must(__FILE__, __LINE__, #expression, !!(expression))
#define RUN(test) check_run(#test, test)
#define CHECK_DONE() return check_failures != 0
