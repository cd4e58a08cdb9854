/* Limits of memory: who goes over dies, inside its cgroup and nowhere else. Needs the root of a
 * cgroup v2 tree at /sys/fs/cgroup. */
#include "tests/guest/test.h"
#include <stdint.h>
#include <sys/mman.h>

#define ROOT "/sys/fs/cgroup"
#define MIB (1L << 20)
#define PAGE 4096L

static char group[100];

static const char *in_group(const char *file)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", group, file);
    return path;
}

static void remove_group(void)
{
    for (int i = 0; i < 100 && rmdir(group) < 0 && errno == EBUSY; i++)
        sleep_ms(10);
}

static void make_group(const char *memory_max)
{
    if (access(ROOT "/cgroup.subtree_control", W_OK) < 0)
        SKIP("no cgroup v2 tree that may be changed");
    write_file(ROOT "/cgroup.subtree_control", "+memory");
    snprintf(group, sizeof group, ROOT "/limits-%d", getpid());
    CHECK_OK(mkdir(group, 0755));
    atexit(remove_group);
    CHECK_OK(write_file(in_group("memory.max"), memory_max));
    write_file(in_group("memory.swap.max"), "0");
}

static void join_group(void)
{
    CHECK_OK(write_file(in_group("cgroup.procs"), "0"));
}

/* The value behind `key` in a file of the group, or the only one. */
static long long value(const char *file, const char *key)
{
    const char *text = read_file(in_group(file));
    CHECK(text);
    for (; *key; text++) {
        if (strncmp(text, key, strlen(key)) == 0 && text[strlen(key)] == ' ')
            return atoll(text + strlen(key));
        text = strchr(text, '\n');
        CHECK(text);
    }
    return atoll(text);
}

static void touch(char *at, long size)
{
    for (long i = 0; i < size; i += PAGE)
        at[i] = 1;
}

static char *map(long size)
{
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

TEST(a_hog_is_killed_inside_its_cgroup_and_nowhere_else)
{
    int status, neighbour[2];
    make_group("16777216");
    CHECK_OK(pipe(neighbour));
    pid_t outside = fork();
    if (outside == 0) {
        touch(map(24 * MIB), 24 * MIB);
        char byte;
        _exit(read(neighbour[0], &byte, 1) != 1);
    }
    IN_CHILD(status, join_group(); touch(map(64 * MIB), 64 * MIB));
    CHECK_EQ(WTERMSIG(status), SIGKILL);
    CHECK(value("memory.events", "oom_kill") >= 1);
    CHECK(value("memory.events", "max") >= 1);
    CHECK_EQ(write(neighbour[1], "x", 1), 1);
    CHECK_EQ(waitpid(outside, &status, 0), outside);
    CHECK_EQ(status, 0);
    CHECK(value("memory.current", "") < 1 * MIB);
}

TEST(below_the_limit_nobody_is_killed)
{
    make_group("16777216");
    for (int i = 0; i < 4; i++)
        CHILD_PASSES(join_group(); touch(map(12 * MIB), 12 * MIB);
                     CHECK(value("memory.current", "") >= 12 * MIB));
    CHECK_EQ(value("memory.events", "oom_kill"), 0);
}

TEST(the_largest_of_a_group_dies_and_the_others_go_on)
{
    int status;
    make_group("16777216");
    IN_CHILD(status, {
        join_group();
        touch(map(2 * MIB), 2 * MIB);
        int inner;
        pid_t hog = fork();
        if (hog == 0) {
            touch(map(64 * MIB), 64 * MIB);
            _exit(0);
        }
        CHECK_EQ(waitpid(hog, &inner, 0), hog);
        CHECK_EQ(WTERMSIG(inner), SIGKILL);
    });
    CHECK_EQ(status, 0);
}

TEST(files_in_memory_are_charged_to_their_writer)
{
    int status;
    make_group("8388608");
    enter_scratch();
    IN_CHILD(status, {
        static char block[65536];
        join_group();
        int fd = open("big", O_WRONLY | O_CREAT, 0600);
        for (int i = 0; i < 1024 && write(fd, block, sizeof block) == sizeof block; i++)
            ;
        _exit(9);
    });
    CHECK(status == 9 << 8 || WTERMSIG(status) == SIGKILL);
    struct stat st;
    CHECK_OK(stat("big", &st));
    CHECK(st.st_size <= 8 * MIB);
    CHECK(value("memory.current", "") <= 8 * MIB);
    CHECK_OK(unlink("big"));
    sleep_ms(20);
    CHECK(value("memory.current", "") < 1 * MIB);
}

TEST(page_tables_are_charged_too)
{
    int status;
    make_group("8388608");
    IN_CHILD(status, {
        join_group();
        char *at = map(1L << 40);
        for (long i = 0; i < 1L << 40; i += 2 * MIB)
            if (*(volatile char *)(at + i))
                _exit(1);
    });
    CHECK_EQ(WTERMSIG(status), SIGKILL);
}

TEST(memory_that_a_system_call_touches_is_bounded_as_well)
{
    int status;
    make_group("8388608");
    IN_CHILD(status, {
        join_group();
        int fd = open("/dev/zero", O_RDONLY);
        char *at = map(64 * MIB);
        for (int i = 0; i < 64; i++)
            if (read(fd, at + i * MIB, MIB) < 0 && errno != EFAULT)
                _exit(2);
    });
    CHECK_EQ(WTERMSIG(status), SIGKILL);
}

TEST(a_limit_above_binds_those_below)
{
    int status;
    char child[200];
    make_group("8388608");
    CHECK_OK(write_file(in_group("cgroup.subtree_control"), "+memory"));
    snprintf(child, sizeof child, "%s/inner", group);
    CHECK_OK(mkdir(child, 0755));
    IN_CHILD(status, CHECK_OK(write_file(in_group("inner/cgroup.procs"), "0"));
             touch(map(64 * MIB), 64 * MIB));
    CHECK_EQ(WTERMSIG(status), SIGKILL);
    for (int i = 0; i < 100 && rmdir(child) < 0; i++)
        sleep_ms(10);
    CHECK(access(child, F_OK) < 0);
}

TEST(the_whole_machine_out_of_memory_kills_the_hog)
{
    int status;
    IN_CHILD(status, for (;;) touch(map(16 * MIB), 16 * MIB));
    CHECK_EQ(WTERMSIG(status), SIGKILL);
    CHECK(system("true") == 0);
}
