/* What a cgroup bounds besides memory: CPU time, shares of it, the number of tasks, running at all.
 * Needs the root of a cgroup v2 tree at /sys/fs/cgroup. */
#include "tests/guest/test.h"
#include <linux/sched.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>

#define ROOT "/sys/fs/cgroup"

static char groups[4][100];
static int group_count;

static const char *in_group(int group, const char *file)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", groups[group], file);
    return path;
}

static void remove_groups(void)
{
    for (int g = group_count - 1; g >= 0; g--) {
        write_file(in_group(g, "cgroup.kill"), "1");
        for (int i = 0; i < 200 && rmdir(groups[g]) < 0 && errno == EBUSY; i++)
            sleep_ms(10);
    }
}

/* A new group below `parent` (-1: the root); its index. */
static int make_group(int parent)
{
    const char *above = parent < 0 ? ROOT : groups[parent];
    char control[200];
    snprintf(control, sizeof control, "%s/cgroup.subtree_control", above);
    if (access(control, W_OK) < 0)
        SKIP("no cgroup v2 tree that may be changed");
    write_file(control, "+cpu");
    write_file(control, "+pids");
    snprintf(groups[group_count], sizeof groups[0], "%s/test-%d-%d", above, getpid(), group_count);
    CHECK_OK(mkdir(groups[group_count], 0755));
    if (group_count == 0)
        atexit(remove_groups);
    return group_count++;
}

static long long value(int group, const char *file, const char *key)
{
    const char *text = read_file(in_group(group, file));
    CHECK(text);
    while (text && (strncmp(text, key, strlen(key)) != 0 || text[strlen(key)] != ' ')) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    CHECK(text);
    return atoll(text + strlen(key));
}

static void *spin(void *arg)
{
    for (volatile unsigned i = 0;; i++)
        ;
    return arg;
}

/* A process of the group that uses all the CPU it can get, with so many threads. */
static pid_t start_hog(int group, int threads)
{
    pid_t pid = spawn();
    if (pid == 0) {
        pthread_t thread;
        CHECK_OK(write_file(in_group(group, "cgroup.procs"), "0"));
        for (int i = 1; i < threads; i++)
            CHECK_OK(pthread_create(&thread, NULL, spin, NULL));
        spin(NULL);
    }
    return pid;
}

static long long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* Thousandths of one CPU that the group uses over so many milliseconds. */
static long share(int group, int ms)
{
    long long used = value(group, "cpu.stat", "usage_usec"), start = now_us();
    sleep_ms(ms);
    used = value(group, "cpu.stat", "usage_usec") - used;
    return used * 1000 / (now_us() - start);
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

TEST(a_quota_bounds_a_hog)
{
    int g = make_group(-1);
    CHECK_OK(write_file(in_group(g, "cpu.max"), "25000 100000"));
    pid_t hog = start_hog(g, 1);
    sleep_ms(300);
    long got = share(g, 3000);
    CHECK(got >= 230 && got <= 270);
    CHECK(value(g, "cpu.stat", "nr_throttled") > 10);
    end(hog);
}

TEST(a_quota_bounds_all_threads_together)
{
    int g = make_group(-1);
    CHECK_OK(write_file(in_group(g, "cpu.max"), "40000 100000"));
    pid_t hog = start_hog(g, 3);
    sleep_ms(300);
    long got = share(g, 2000);
    CHECK(got >= 370 && got <= 430);
    end(hog);
}

TEST(a_quota_above_bounds_those_below)
{
    int top = make_group(-1), low = make_group(top);
    CHECK_OK(write_file(in_group(top, "cpu.max"), "40000 100000"));
    pid_t hog = start_hog(low, 1);
    sleep_ms(300);
    long got = share(low, 2000);
    CHECK(got >= 370 && got <= 430);
    end(hog);
}

TEST(weights_share_one_cpu)
{
    int heavy = make_group(-1), light = make_group(-1);
    CHECK_OK(write_file(in_group(heavy, "cpu.weight"), "300"));
    uint64_t one_cpu = 1, all;
    CHECK(syscall(SYS_sched_getaffinity, 0, sizeof all, &all) > 0);
    CHECK_OK(syscall(SYS_sched_setaffinity, 0, sizeof one_cpu, &one_cpu));
    pid_t a = start_hog(heavy, 1), b = start_hog(light, 4);
    sleep_ms(200);
    long long before[2] = {value(heavy, "cpu.stat", "usage_usec"),
                           value(light, "cpu.stat", "usage_usec")};
    sleep_ms(2000);
    long long used[2] = {value(heavy, "cpu.stat", "usage_usec") - before[0],
                         value(light, "cpu.stat", "usage_usec") - before[1]};
    end(a);
    end(b);
    CHECK(used[0] * 10 >= used[1] * 22 && used[0] * 10 <= used[1] * 40);
}

TEST(nice_shares_one_cpu)
{
    int g = make_group(-1);
    uint64_t one_cpu = 1;
    CHECK_OK(syscall(SYS_sched_setaffinity, 0, sizeof one_cpu, &one_cpu));
    int fds[2];
    CHECK_OK(pipe(fds));
    /* Both in one cgroup: what is compared is the processes' own CPU time. */
    for (int i = 0; i < 2; i++) {
        if (spawn() == 0) {
            CHECK_OK(write_file(in_group(g, "cgroup.procs"), "0"));
            CHECK(nice(i * 5) >= 0);
            long long stop = now_us() + 1500000;
            while (now_us() < stop)
                ;
            struct timespec cpu;
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
            long long us[2] = {i, cpu.tv_sec * 1000000LL + cpu.tv_nsec / 1000};
            _exit(write(fds[1], us, sizeof us) != sizeof us);
        }
    }
    long long got[2] = {0, 0}, us[2];
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(read(fds[0], us, sizeof us), sizeof us);
        got[us[0]] = us[1];
    }
    CHECK(got[0] > 2 * got[1] && got[0] < 5 * got[1]);
}

TEST(frozen_tasks_do_not_run_until_thawed)
{
    int g = make_group(-1);
    pid_t hog = start_hog(g, 2);
    sleep_ms(100);
    CHECK_OK(write_file(in_group(g, "cgroup.freeze"), "1"));
    for (int i = 0; i < 100 && value(g, "cgroup.events", "frozen") == 0; i++)
        sleep_ms(10);
    CHECK_EQ(value(g, "cgroup.events", "frozen"), 1);
    sleep_ms(20);
    CHECK_EQ(share(g, 300), 0);
    CHECK_OK(write_file(in_group(g, "cgroup.freeze"), "0"));
    sleep_ms(50);
    CHECK(share(g, 300) > 100);
    end(hog);
}

TEST(a_frozen_task_can_be_killed)
{
    int g = make_group(-1);
    pid_t hog = start_hog(g, 2);
    sleep_ms(50);
    CHECK_OK(write_file(in_group(g, "cgroup.freeze"), "1"));
    sleep_ms(50);
    end(hog);
    CHECK_EQ(value(g, "cgroup.events", "populated"), 0);
}

TEST(a_throttled_task_can_be_killed_at_once)
{
    int g = make_group(-1);
    CHECK_OK(write_file(in_group(g, "cpu.max"), "1000 1000000"));
    pid_t hog = start_hog(g, 1);
    sleep_ms(100);
    long long start = now_us();
    end(hog);
    CHECK(now_us() - start < 500000);
}

TEST(kill_ends_all_of_the_subtree)
{
    int top = make_group(-1), one = make_group(top), other = make_group(top);
    pid_t a = start_hog(one, 1), b = start_hog(other, 3);
    int status;
    sleep_ms(100);
    CHECK_OK(write_file(in_group(top, "cgroup.kill"), "1"));
    CHECK_EQ(waitpid(a, &status, 0), a);
    CHECK_EQ(status, SIGKILL);
    CHECK_EQ(waitpid(b, &status, 0), b);
    CHECK_EQ(status, SIGKILL);
}

TEST(too_many_tasks_give_eagain)
{
    int g = make_group(-1), status;
    CHECK_OK(write_file(in_group(g, "pids.max"), "4"));
    IN_CHILD(
        status, CHECK_OK(write_file(in_group(g, "cgroup.procs"), "0")); pid_t pids[8]; int made = 0;
        for (; made < 8; made++) {
            pids[made] = fork();
            if (pids[made] < 0)
                break;
            if (pids[made] == 0)
                for (;;)
                    pause();
        } int error = errno;
        for (int i = 0; i < made; i++) kill(pids[i], SIGKILL);
        _exit(made == 3 && error == EAGAIN ? 0 : 10 + made));
    CHECK_EQ(status, 0);
    CHECK(value(g, "pids.events", "max") >= 1);
}

TEST(clone_can_start_in_a_cgroup)
{
    int g = make_group(-1), status;
    int fd = open(groups[g], O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = fd};
    fflush(stdout);
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        const char *text = read_file("/proc/self/cgroup");
        _exit(text && strstr(text, strrchr(groups[g], '/')) ? 0 : 1);
    }
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}
