/* What containers cost: from the start of ctr to the program's first instruction, and to the end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

/* Inside the container: says what the counter was at its first instruction. */
static int inside(void)
{
    printf("%llu\n", ticks());
    return 0;
}

static unsigned long long run_container(unsigned long long *whole)
{
    int ends[2];
    char text[64] = "";
    if (pipe(ends) < 0)
        return 0;
    unsigned long long start = ticks();
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 1);
        execl("/bin/ctr", "ctr", "run", "--rm", "--name", "bench", "-v", "/bench:/bench:ro",
              "busybox", "/bench/container", "inside", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)got;
    close(ends[0]);
    waitpid(pid, NULL, 0);
    *whole = ticks() - start;
    unsigned long long first = strtoull(text, NULL, 10);
    return first > start ? first - start : 0;
}

int main(int argc, char **argv)
{
    unsigned long long first = ~0ULL, whole = ~0ULL, took, all;
    if (argc > 1 && strcmp(argv[1], "inside") == 0)
        return inside();
    for (int round = 0; round < 3; round++) {
        took = run_container(&all);
        if (!took) {
            puts("the container did not run");
            return 1;
        }
        first = took < first ? took : first;
        whole = all < whole ? all : whole;
    }
    report("container, start to first instruction", first);
    report("container, start to end", whole);
    return 0;
}
