/* Memory under many hands: threads on several CPUs that share an address space, processes that
 * share pages until written, and whether all of it comes back at the end. */
#include "tests/guest/test.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>

#define PAGE 4096L
#define RW (PROT_READ | PROT_WRITE)

static char *map(size_t size)
{
    char *at = mmap(NULL, size, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

static long free_kib(void)
{
    const char *line = strstr(read_file("/proc/meminfo"), "MemFree:");
    CHECK(line);
    return atol(line + strlen("MemFree:"));
}

/* A thread that counts up in *counter until told to stop; a fault makes it wait. */
static volatile uint64_t *counter;
static volatile int stop, faults;

static void wait_out(int sig)
{
    faults++;
    sleep_ms(1);
}

static void *count_up(void *arg)
{
    while (!stop)
        (*counter)++;
    return NULL;
}

static pthread_t start_counting(char *page)
{
    pthread_t thread;
    counter = (volatile uint64_t *)page;
    signal(SIGSEGV, wait_out);
    CHECK_OK(pthread_create(&thread, NULL, count_up, NULL));
    while (*counter < 1000)
        sched_yield();
    return thread;
}

TEST(write_protection_stops_writers_on_other_cpus)
{
    char *page = map(PAGE);
    pthread_t thread = start_counting(page);
    for (int i = 0; i < 200; i++) {
        CHECK_OK(mprotect(page, PAGE, PROT_READ));
        uint64_t before = *counter;
        for (volatile int spin = 0; spin < 5000; spin++)
            ;
        CHECK_EQ(*counter, before);
        CHECK_OK(mprotect(page, PAGE, RW));
        while (*counter == before)
            sched_yield();
    }
    stop = 1;
    CHECK_OK(pthread_join(thread, NULL));
}

static volatile uint64_t seen, looks;

static void *look(void *arg)
{
    for (; !stop; looks++)
        seen = *counter;
    return NULL;
}

TEST(a_fresh_mapping_replaces_the_old_page_on_other_cpus)
{
    char *page = map(PAGE);
    pthread_t thread;
    counter = (volatile uint64_t *)page;
    CHECK_OK(pthread_create(&thread, NULL, look, NULL));
    for (int i = 0; i < 200; i++) {
        *counter = 7;
        while (seen != 7)
            sched_yield();
        CHECK(mmap(page, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
        for (uint64_t since = looks; looks < since + 2;)
            sched_yield();
        CHECK_EQ(seen, 0);
    }
    stop = 1;
    CHECK_OK(pthread_join(thread, NULL));
}

TEST(a_child_sees_one_moment_of_a_writer_on_another_cpu)
{
    char *page = map(PAGE);
    pthread_t thread = start_counting(page);
    for (int i = 0; i < 100; i++)
        CHILD_PASSES({
            uint64_t before = *counter;
            for (volatile int spin = 0; spin < 20000; spin++)
                ;
            CHECK_EQ(*counter, before);
        });
    uint64_t now = *counter;
    while (*counter == now)
        sched_yield();
    stop = 1;
    CHECK_OK(pthread_join(thread, NULL));
}

/* Writes to pages of `at` in an order of its own and checks that nobody else did. */
static void scribble(char *at, int pages, unsigned seed)
{
    for (int i = 0; i < pages; i++)
        *(unsigned *)(at + i * PAGE + 8) = seed;
    for (int round = 0; round < 4 * pages; round++) {
        seed = seed * 1664525 + 1013904223;
        int page = seed / 65536 % pages;
        *(unsigned *)(at + page * PAGE) += 1;
    }
}

static unsigned total(const char *at, int pages)
{
    unsigned sum = 0;
    for (int i = 0; i < pages; i++)
        sum += *(const unsigned *)(at + i * PAGE);
    return sum;
}

TEST(a_storm_of_copies_keeps_every_value)
{
    enum { PAGES = 256, CHILDREN = 12 };
    char *at = map(PAGES * PAGE);
    int status;
    scribble(at, PAGES, 1);
    CHECK_EQ(total(at, PAGES), 4 * PAGES);
    for (int i = 0; i < CHILDREN; i++) {
        fflush(stdout);
        if (fork() == 0) {
            scribble(at, PAGES, i + 2);
            if (i % 3 == 0)
                CHILD_PASSES(scribble(at, PAGES, 77); CHECK_EQ(total(at, PAGES), 12 * PAGES));
            CHECK_EQ(total(at, PAGES), 8 * PAGES);
            for (int j = 0; j < PAGES; j++)
                CHECK_EQ(*(unsigned *)(at + j * PAGE + 8), i + 2);
            _exit(0);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        CHECK(wait(&status) > 0);
        CHECK_EQ(status, 0);
    }
    CHECK_EQ(total(at, PAGES), 4 * PAGES);
}

static void *map_and_unmap(void *arg)
{
    for (int i = 0; i < 50; i++) {
        size_t size = (1 + (i * 7 + (intptr_t)arg) % 20) * PAGE;
        char *at = map(size);
        for (size_t off = 0; off < size; off += PAGE)
            at[off] = (char)(intptr_t)arg;
        for (size_t off = 0; off < size; off += PAGE)
            CHECK_EQ(at[off], (intptr_t)arg);
        CHECK_OK(munmap(at, size));
    }
    return NULL;
}

TEST(threads_map_and_unmap_side_by_side)
{
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++)
        CHECK_OK(pthread_create(&threads[i], NULL, map_and_unmap, (void *)(i + 1)));
    for (int i = 0; i < 4; i++)
        CHECK_OK(pthread_join(threads[i], NULL));
}

/* What every kind of end must give back. */
static void one_round(void)
{
    static char pages[4 * PAGE];
    int status, fds[2];
    CHILD_PASSES(scribble(map(64 * PAGE), 64, 5));
    IN_CHILD(status, char *at = map(64 * PAGE); memset(at, 1, 64 * PAGE); raise(SIGKILL));
    CHECK_EQ(WTERMSIG(status), SIGKILL);
    CHILD_PASSES(char *shared = mmap(NULL, 64 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
                 memset(shared, 1, 64 * PAGE); CHILD_PASSES(memset(shared, 2, 64 * PAGE));
                 CHECK_EQ(shared[64 * PAGE - 1], 2));
    CHILD_PASSES(pthread_t thread; pthread_create(&thread, NULL, map_and_unmap, (void *)3);
                 sleep_ms(1)); /* ends while its thread runs */
    CHILD_PASSES(execl("/bin/busybox", "true", (char *)NULL); _exit(1));
    CHILD_PASSES(CHECK_OK(pipe(fds)); CHECK_EQ(write(fds[1], pages, sizeof pages), sizeof pages));
    CHILD_PASSES(enter_scratch(); CHECK_OK(write_file("f", "text")); int fd = open("f", O_RDWR);
                 CHECK_OK(ftruncate(fd, 64 * PAGE));
                 char *at = mmap(NULL, 64 * PAGE, RW, MAP_SHARED, fd, 0); memset(at, 1, 64 * PAGE);
                 CHECK_OK(ftruncate(fd, PAGE)); CHECK_OK(unlink("f")));
}

TEST(everything_is_given_back)
{
    for (int i = 0; i < 3; i++)
        one_round();
    long before = free_kib();
    for (int i = 0; i < 20; i++)
        one_round();
    long lost = before - free_kib();
    if (lost > 256)
        FAIL("20 rounds lost %ld KiB", lost);
}
