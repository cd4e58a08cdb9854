/* What it costs to run a guest kernel: interpreted, translated, and in the CPU's guest mode. Each
 * figure is the difference of a long and a short run of the same guest, so that starting does not
 * count, over the difference of the guest's own instructions, which the interpreter counts. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define GUEST "/lib/guests/kernel32"

enum { INTERPRETED, TRANSLATED, GUEST_MODE, WAYS };

/* Runs the guest with "what=n"; returns what it took, and the text that it said in `text`. */
static unsigned long long run(int way, const char *what, unsigned n, char *text, size_t room)
{
    char append[64];
    int ends[2], status;
    size_t length = 0;
    ssize_t got;

    snprintf(append, sizeof(append), "%s=%u", what, n);
    if (pipe(ends) < 0)
        exit(1);
    unsigned long long start = ticks();
    pid_t pid = fork();
    if (pid == 0) {
        const char *program = way == GUEST_MODE ? "/bin/vmm" : "/bin/bt";
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        execl(program, program, way == INTERPRETED ? "--interpret" : "--stats", "--stats",
              "--append", append, GUEST, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    while ((got = read(ends[0], text + length, room - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = 0;
    close(ends[0]);
    waitpid(pid, &status, 0);
    if (status != 0) {
        printf("%s %s: status %d: %s\n", GUEST, append, status, text);
        exit(1);
    }
    return ticks() - start;
}

static unsigned long long count_of(const char *text)
{
    const char *at = strstr(text, "bt: ");

    return at ? strtoull(at + 4, NULL, 10) : 0;
}

static void compare(const char *what, const char *name, unsigned few, unsigned many)
{
    static const char *const ways[] = {"interpreted", "translated", "guest mode"};
    char little[4096], much[4096], line[100];
    unsigned long long instructions = 0;

    for (int way = INTERPRETED; way < WAYS; way++) {
        unsigned long long short_run = ~0ULL, long_run = ~0ULL, took;
        for (int round = 0; round < (way == INTERPRETED ? 1 : 3); round++) {
            took = run(way, what, few, little, sizeof(little));
            short_run = took < short_run ? took : short_run;
            took = run(way, what, many, much, sizeof(much));
            long_run = took < long_run ? took : long_run;
        }
        if (way == INTERPRETED)
            instructions = count_of(much) - count_of(little);
        snprintf(line, sizeof(line), "1000 instructions, %s, %s", name, ways[way]);
        report(line, (long_run - short_run) * 1000 / instructions);
    }
}

int main(void)
{
    compare("work", "computing", 1, 6);
    compare("calls", "calling", 20, 200);
    compare("sensitive", "CLI and POPF", 200, 10200);
    compare("device", "reading a port", 200, 5200);
    return 0;
}
