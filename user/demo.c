/* demo [ROUNDS]: the same computation as a process, in a container and in a virtual machine.
 *
 * First all three run side by side while `worlds` shows them; then each runs alone and is measured.
 * Each world's output is read through a pipe: "work: started" ends its start, the line with the
 * checksum ends its work. The status is 0 only if the three checksums agree. */
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

#define CGROUP "/sys/fs/cgroup"
#define WORLDS 3
#define ROUNDS 100       // of the computation, alone
#define TOGETHER_TIMES 6 // as many while all three run, so that they can be watched

struct world {
    const char *kind;
    const char *command; // %ld: rounds
    const char *cgroup;  // that is charged for its memory
};

static const struct world worlds[WORLDS] = {
    {"process", "exec work %ld", CGROUP "/demo-process"},
    {"container", "exec ctr run --rm --name demo -v /bin/work:/bin/work:ro busybox /bin/work %ld",
     CGROUP "/ctr/demo"},
    {"machine", "exec vmm --mem 16 --name demo --append rounds=%ld /lib/guests/work",
     CGROUP "/demo-machine"},
};

struct run {
    pid_t pid;
    FILE *output;
    const struct world *world;
    char cgroup[64];
    double start, working, end; // seconds
    long memory;                // bytes, when it works; -1 if unknown
    unsigned long long checksum;
    int has_checksum, status;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t written = fd < 0 ? -1 : write(fd, text, strlen(text));
    if (fd >= 0)
        close(fd);
    return written < 0 ? -1 : 0;
}

static long read_number(const char *path)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    return length > 0 ? atol(text) : -1;
}

/* The child joins its cgroup, so that all it starts is counted there, and becomes the shell. */
static void become(const struct world *w, long rounds, const char *cgroup, int output)
{
    char path[96], command[160];
    dup2(output, 1);
    dup2(output, 2);
    snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
    write_text(path, "0");
    snprintf(command, sizeof command, w->command, rounds);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static void begin(struct run *r, const struct world *w, long rounds)
{
    int ends[2];
    memset(r, 0, sizeof *r);
    r->world = w;
    r->memory = -1;
    snprintf(r->cgroup, sizeof r->cgroup, CGROUP "/demo-%s", w->kind);
    mkdir(r->cgroup, 0755);
    if (pipe(ends) < 0) {
        perror("demo: pipe");
        exit(1);
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    r->start = now();
    r->pid = fork();
    if (r->pid == 0)
        become(w, rounds, r->cgroup, ends[1]);
    close(ends[1]);
    r->output = fdopen(ends[0], "r");
}

/* Memory of the world: what its cgroup is charged now. */
static long memory_now(const struct run *r)
{
    char path[96];
    snprintf(path, sizeof path, "%s/memory.current", r->world->cgroup);
    return read_number(path);
}

static void take_line(struct run *r, const char *line)
{
    const char *sum = strstr(line, "checksum ");
    if (strstr(line, "work: started")) {
        r->working = now();
        r->memory = memory_now(r);
    } else if (sum) {
        r->end = now();
        r->checksum = strtoull(sum + strlen("checksum "), NULL, 16);
        r->has_checksum = 1;
    } else {
        printf("demo: %s\n", line);
    }
}

/* Takes one line of the world's output; 0 at its end. */
static int take_output(struct run *r)
{
    char line[256];
    if (!r->output || !fgets(line, sizeof line, r->output))
        return 0;
    line[strcspn(line, "\r\n")] = 0;
    take_line(r, line);
    return 1;
}

/* Reads the world's output to its end, reaps it and removes its cgroup. */
static void finish(struct run *r)
{
    int status;
    while (take_output(r))
        ;
    if (r->output)
        fclose(r->output);
    waitpid(r->pid, &status, 0);
    r->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    rmdir(r->cgroup);
}

static int agree(const struct run *runs)
{
    int good = 1;
    for (int i = 0; i < WORLDS; i++) {
        if (!runs[i].has_checksum)
            printf("demo: the %s gave no result (status %d)\n", worlds[i].kind, runs[i].status);
        else if (runs[i].checksum != runs[0].checksum)
            printf("demo: the %s computed %llx, the process %llx\n", worlds[i].kind,
                   runs[i].checksum, runs[0].checksum);
        good = good && runs[i].has_checksum && runs[i].checksum == runs[0].checksum;
    }
    return good;
}

static int side_by_side(long rounds)
{
    struct run runs[WORLDS];
    struct timespec moment = {.tv_nsec = 300000000};
    puts("All three worlds at once:");
    fflush(stdout);
    for (int i = 0; i < WORLDS; i++)
        begin(&runs[i], &worlds[i], rounds);
    for (int i = 0; i < WORLDS; i++)
        while (runs[i].working == 0 && take_output(&runs[i]))
            ;
    nanosleep(&moment, NULL);
    if (system("worlds -1") != 0)
        puts("demo: worlds failed");
    for (int i = 0; i < WORLDS; i++)
        finish(&runs[i]);
    return agree(runs);
}

static int one_by_one(long rounds)
{
    struct run runs[WORLDS];
    for (int i = 0; i < WORLDS; i++) {
        begin(&runs[i], &worlds[i], rounds);
        finish(&runs[i]);
    }
    printf("\n%-10s %12s %12s %12s %8s  %s\n", "world", "start, ms", "memory, KiB", "work, ms",
           "ratio", "result");
    for (int i = 0; i < WORLDS; i++) {
        const struct run *r = &runs[i];
        double took = r->end - r->working, base = runs[0].end - runs[0].working;
        printf("%-10s %12.1f %12ld %12.1f %8.2f  %llx\n", worlds[i].kind,
               (r->working - r->start) * 1e3, r->memory < 0 ? -1 : r->memory / 1024, took * 1e3,
               base > 0 ? took / base : 0, r->checksum);
    }
    return agree(runs);
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : ROUNDS;
    if (rounds < 1 || argc > 2) {
        fputs("usage: demo [ROUNDS]\n", stderr);
        return 2;
    }
    write_text(CGROUP "/cgroup.subtree_control", "+memory");
    int together = side_by_side(rounds * TOGETHER_TIMES);
    int alone = one_by_one(rounds);
    puts(together && alone ? "\nThe three results agree." : "\nThe results do not agree.");
    return together && alone ? 0 : 1;
}
