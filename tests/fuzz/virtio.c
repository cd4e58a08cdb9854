/*
 * virtio SEED ROUNDS: machines whose guest (tests/guests/rings.c) does to the virtio devices of vmm
 * whatever a guest can.
 *
 * A round is a monitor with devices and processors as the dice say. It must come to its end with
 * status 0, or with what it is ended by: it is killed sometimes. The disk keeps its size, a
 * read-only one its bytes. The second time that the same rounds have been run there is as much free
 * memory as after the first.
 */
#define LIMIT 100000
#define OWN_MAIN
#include "tests/guest/test.h"

#include <poll.h>
#include <stdbool.h>

#include "tests/fuzz/free.h"
#include "tests/fuzz/rnd.h"

enum { DISK_SIZE = 1 << 20, GUEST_ROUNDS = 25, PATIENCE_MS = 300000, MAX_WORDS = 24 };

static char said[4096];
static unsigned long long chains;
static unsigned machines;

static void make_disk(const char *name, uint64_t fill)
{
    static uint64_t data[DISK_SIZE / 8];
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

    CHECK(fd >= 0);
    for (size_t i = 0; i < DISK_SIZE / 8; i++)
        data[i] = fill;
    CHECK_EQ(write(fd, data, DISK_SIZE), DISK_SIZE);
    close(fd);
}

static void check_disk(const char *name, bool bytes, uint64_t fill)
{
    static uint64_t data[DISK_SIZE / 8];
    int fd = open(name, O_RDONLY);
    struct stat st;

    CHECK(fd >= 0);
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, DISK_SIZE);
    CHECK_EQ(read(fd, data, DISK_SIZE), DISK_SIZE);
    for (size_t i = 0; bytes && i < DISK_SIZE / 8; i++)
        CHECK_EQ(data[i], fill);
    close(fd);
}

static void run_monitor(uint64_t seed, int output)
{
    static const char *const devices[][2] = {
        {"--disk", "/tmp/disk"}, {"--disk", "/tmp/kept,ro"}, {"--console", "virtio"},
        {"--rng", NULL},         {"--balloon", "4"},
    };
    char *words[MAX_WORDS] = {"vmm", "--mem", "8"}, append[100];
    unsigned n = 3, chosen = 1 + (unsigned)(rnd() % 31), cpus = 1 + one_in(2);
    int zeros = open("/dev/zero", O_RDONLY);

    for (unsigned i = 0; i < 5; i++) {
        if (!(chosen & 1u << i))
            continue;
        words[n++] = (char *)devices[i][0];
        if (devices[i][1])
            words[n++] = (char *)devices[i][1];
    }
    snprintf(append, sizeof(append), "seed=%llu rounds=%d cpus=%u", (unsigned long long)seed,
             GUEST_ROUNDS, cpus);
    words[n++] = "--cpus";
    words[n++] = cpus == 2 ? "2" : "1";
    words[n++] = "--append";
    words[n++] = append;
    words[n++] = "/lib/guests/rings";
    CHECK(dup2(zeros, 0) == 0 && dup2(output, 1) == 1 && dup2(output, 2) == 2);
    execv("/bin/vmm", words);
    _exit(127);
}

/* Keeps the last of what the monitor and its guest say, until nobody is left who could. */
static void listen_to(int fd)
{
    static char data[sizeof(said) / 2];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t have = 0;

    for (;;) {
        if (poll(&p, 1, PATIENCE_MS) == 0)
            FAIL("the monitor does not end; it said: %s", said);
        ssize_t n = read(fd, data, sizeof(data));
        if (n <= 0)
            return;
        if (have + (size_t)n >= sizeof(said)) {
            memmove(said, said + have / 2, have - have / 2);
            have -= have / 2;
        }
        for (ssize_t i = 0; i < n; i++)
            said[have++] = data[i] ? data[i] : '.';
        said[have] = 0;
    }
}

static void do_round(uint64_t seed)
{
    int ends[2], status;

    rnd_seed(seed, 0);
    bool kill_it = one_in(5);
    make_disk("/tmp/disk", 0);
    make_disk("/tmp/kept", seed);
    CHECK_OK(pipe(ends));
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        run_monitor(seed, ends[1]);
    close(ends[1]);
    if (kill_it) {
        sleep_ms(20 + (long)(rnd() % 200));
        kill(pid, SIGKILL);
    }
    listen_to(ends[0]);
    close(ends[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (status != 0 && !(kill_it && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
        FAIL("round %llu: wait status %#x after: %s", (unsigned long long)seed, status, said);
    const char *line = strstr(said, "rounds, ");
    if (line)
        chains += strtoull(line + strlen("rounds, "), NULL, 10);
    check_disk("/tmp/disk", false, 0);
    check_disk("/tmp/kept", true, seed);
    if (++machines % 10 == 0)
        printf("%u machines, %llu chains served\n", machines, chains);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
             rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : 5;

    printf("seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < rounds; i++)
        do_round(seed + i);
    long before = free_kib();
    for (uint64_t i = 0; i < rounds; i++)
        do_round(seed + i);
    long lost = before - free_kib();
    printf("%llu machines, %llu chains served, %ld KiB of memory less than before\n",
           (unsigned long long)(2 * rounds), chains, lost);
    CHECK(lost <= SLACK_KIB);
    return 0;
}
