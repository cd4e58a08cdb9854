/* What processes cost: system calls, faults, switches, births. */
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void fork_and_exit(void)
{
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
}

static void fork_and_exec(void)
{
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        execl("/bench/calls", "calls", "nothing", (char *)NULL);
        _exit(127);
    }
    int status;
    waitpid(pid, &status, 0);
    if (status != 0)
        fail("exec");
}

/* A child that sends back each byte that it gets. */
static pid_t start_echo(int to[2], int from[2])
{
    if (pipe(to) < 0 || pipe(from) < 0)
        fail("pipe");
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(to[1]);
        while (read(to[0], &byte, 1) == 1 && write(from[1], &byte, 1) == 1)
            ;
        _exit(0);
    }
    close(to[0]);
    close(from[1]);
    return pid;
}

static void bench_pipe(void)
{
    int to[2], from[2];
    char byte = 0;
    pid_t pid = start_echo(to, from);
    MEASURE("pipe round trip (two switches)", 5, 100, {
        if (write(to[1], &byte, 1) != 1 || read(from[0], &byte, 1) != 1)
            fail("pipe");
    });
    close(to[1]);
    waitpid(pid, NULL, 0);
}

/* With another task that yields too, each call is a switch there and one back. */
static void bench_switch(void)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            sched_yield();
    MEASURE("context switch", 5, 200, sched_yield());
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void bench_faults(void)
{
    enum { PAGES = 64 };
    size_t size = PAGES * 4096;
    unsigned long long best = ~0ULL, copied = ~0ULL;
    for (int round = 0; round < 5; round++) {
        char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED)
            fail("mmap");
        unsigned long long start = ticks();
        for (size_t i = 0; i < size; i += 4096)
            *(volatile char *)(area + i) = 1;
        unsigned long long took = (ticks() - start) / PAGES;
        best = took < best ? took : best;
        pid_t pid = fork();
        if (pid == 0) {
            pause();
            _exit(0);
        }
        start = ticks();
        for (size_t i = 0; i < size; i += 4096)
            *(volatile char *)(area + i) = 2;
        took = (ticks() - start) / PAGES;
        copied = took < copied ? took : copied;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        munmap(area, size);
    }
    report("page fault, anonymous memory", best);
    report("page fault, copy on write", copied);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "nothing") == 0)
        return 0;
    MEASURE("null system call (getppid)", 10, 1000, syscall(SYS_getppid));
    bench_faults();
    bench_switch();
    bench_pipe();
    MEASURE("fork, exit, wait", 10, 1, fork_and_exit());
    MEASURE("fork, exec, wait", 10, 1, fork_and_exec());
    return 0;
}
