/* cgroup v2 through its files: the tree, and what its limits do to those inside and not to others.
 * They need root and a cgroup2 mount with the controllers cpu, memory and pids. */
#define LIMIT 40
#include "tests/guest/test.h"
#include <dirent.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define ROOT "/sys/fs/cgroup"

static char base[80];

static const char *at(const char *name)
{
    static char paths[4][160];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", base, name);
    return paths[next];
}

static int put(const char *name, const char *text)
{
    int fd = open(at(name), O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t wrote = write(fd, text, strlen(text));
    int problem = errno;
    close(fd);
    errno = problem;
    return wrote == (ssize_t)strlen(text) ? 0 : -1;
}

static long number(const char *name)
{
    const char *text = read_file(at(name));
    if (!text)
        FAIL("%s: %s", name, strerror(errno));
    return atol(text);
}

/* The number behind a key in a flat keyed file. */
static long keyed(const char *name, const char *key)
{
    const char *text = read_file(at(name));
    if (!text)
        FAIL("%s: %s", name, strerror(errno));
    for (const char *line = text; line && *line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ' ')
            return atol(line + strlen(key) + 1);
    FAIL("%s has no %s", name, key);
}

static void remove_all(void)
{
    put("cgroup.kill", "1");
    for (int i = 0; i < 200 && rmdir(at("a")) < 0 && errno == EBUSY; i++)
        sleep_ms(10);
    rmdir(at("b"));
    for (int i = 0; i < 200 && rmdir(base) < 0 && errno == EBUSY; i++)
        sleep_ms(10);
}

/* A fresh cgroup of this test's own, `base`, that goes away with it. */
static void enter_tree(void)
{
    const char *have = read_file(ROOT "/cgroup.controllers");
    if (!have || !strstr(have, "memory") || !strstr(have, "pids") || !strstr(have, "cpu"))
        SKIP("no cgroup2 with the controllers");
    int fd = open(ROOT "/cgroup.subtree_control", O_WRONLY);
    if (fd < 0)
        SKIP("not root");
    CHECK_EQ(write(fd, "+cpu +memory +pids", 18), 18);
    close(fd);
    snprintf(base, sizeof base, ROOT "/test-%d", getpid());
    pid_t pid = fork(); /* the parent cleans up when the test, its child, has ended */
    if (pid == 0) {
        CHECK_OK(mkdir(base, 0755));
        return;
    }
    int status;
    waitpid(pid, &status, 0);
    remove_all();
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* A child in the cgroup `base`/name that waits. */
static pid_t sleeper_in(const char *name)
{
    char path[40];
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    snprintf(path, sizeof path, "%s/cgroup.procs", name);
    char text[16];
    snprintf(text, sizeof text, "%d", pid);
    CHECK_OK(put(path, text));
    return pid;
}

static void join(void)
{
    CHECK_OK(put("cgroup.procs", "0"));
}

TEST(directories_are_cgroups)
{
    enter_tree();
    static const char *const files[] = {
        "cgroup.procs",   "cgroup.controllers", "cgroup.subtree_control",
        "cgroup.events",  "cgroup.freeze",      "cgroup.kill",
        "cgroup.threads", "cgroup.type",        "memory.current",
        "memory.max",     "memory.events",      "cpu.max",
        "cpu.stat",       "cpu.weight",         "pids.max",
        "pids.current",   "pids.events"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        CHECK_OK(access(at(files[i]), F_OK));
    CHECK_STR(read_file(at("cgroup.controllers")), "cpu memory pids\n");
    CHECK_STR(read_file(at("cgroup.subtree_control")), "");
    CHECK_STR(read_file(at("cgroup.procs")), "");
    CHECK_STR(read_file(at("memory.max")), "max\n");
    CHECK_STR(read_file(at("pids.max")), "max\n");
    CHECK_STR(read_file(at("cpu.max")), "max 100000\n");
    CHECK_STR(read_file(at("cpu.weight")), "100\n");
    CHECK_STR(read_file(at("cgroup.type")), "domain\n");
    CHECK_OK(mkdir(at("a"), 0755));
    CHECK_ERR(mkdir(at("a"), 0755), EEXIST);
    CHECK_ERR(access(at("a/pids.max"), F_OK), ENOENT); /* not handed on yet */
    CHECK_OK(put("cgroup.subtree_control", "+pids"));
    CHECK_OK(access(at("a/pids.max"), F_OK));
    CHECK_ERR(access(at("a/memory.max"), F_OK), ENOENT);
    CHECK_STR(read_file(at("a/cgroup.controllers")), "pids\n");
    CHECK_OK(put("cgroup.subtree_control", "-pids"));
    CHECK_ERR(access(at("a/pids.max"), F_OK), ENOENT);
    CHECK_ERR(rmdir(base), EBUSY);
    CHECK_OK(rmdir(at("a")));
    CHECK_ERR(open(at("new"), O_CREAT | O_WRONLY, 0600), EACCES);
    CHECK_ERR(put("cgroup.subtree_control", "+nonsense"), EINVAL);
}

TEST(processes_move_and_are_listed)
{
    char want[120];
    enter_tree();
    CHECK_OK(mkdir(at("a"), 0755));
    pid_t pid = sleeper_in("a");
    snprintf(want, sizeof want, "%d\n", pid);
    CHECK_STR(read_file(at("a/cgroup.procs")), want);
    CHECK_EQ(keyed("a/cgroup.events", "populated"), 1);
    CHECK_EQ(keyed("cgroup.events", "populated"), 1);
    CHECK_ERR(rmdir(at("a")), EBUSY);
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    snprintf(want, sizeof want, "0::%s/a\n", base + strlen(ROOT));
    CHECK_STR(read_file(path), want);
    CHECK_ERR(put("cgroup.procs", "99999999"), ESRCH);
    CHECK_ERR(put("cgroup.procs", "nonsense"), EINVAL);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_STR(read_file(at("a/cgroup.procs")), "");
    CHECK_EQ(keyed("a/cgroup.events", "populated"), 0);
}

TEST(children_are_born_into_their_parents_cgroup)
{
    int status;
    char want[80];
    enter_tree();
    join();
    snprintf(want, sizeof want, "0::%s\n", base + strlen(ROOT));
    IN_CHILD(status, CHECK_STR(read_file("/proc/self/cgroup"), want));
    CHECK_EQ(status, 0);
}

TEST(inner_cgroups_with_controllers_hold_no_processes)
{
    enter_tree();
    CHECK_OK(mkdir(at("a"), 0755));
    CHECK_OK(put("cgroup.subtree_control", "+memory"));
    CHECK_ERR(put("cgroup.procs", "0"), EBUSY);
    CHECK_OK(put("a/cgroup.procs", "0"));
    CHECK_ERR(put("a/cgroup.subtree_control", "+memory"), EBUSY);
}

TEST(pids_max_stops_a_fork_bomb)
{
    enter_tree();
    CHECK_OK(put("pids.max", "10"));
    CHECK_STR(read_file(at("pids.max")), "10\n");
    join();
    CHECK_EQ(number("pids.current"), 1);
    int made = 0;
    pid_t pid;
    while ((pid = fork()) > 0)
        made++;
    if (pid == 0)
        for (;;)
            pause();
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(made, 9);
    CHECK_EQ(number("pids.current"), 10);
    CHECK_EQ(keyed("pids.events", "max"), 1);
    CHECK_ERR(put("pids.max", "nonsense"), EINVAL);
    CHECK_ERR(put("pids.max", "-1"), EINVAL);
    CHECK_OK(put("pids.max", "max"));
    pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static void use_memory(size_t bytes)
{
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < bytes; i += 4096)
        memory[i] = 1;
}

TEST(memory_is_counted)
{
    enter_tree();
    join();
    long before = number("memory.current");
    use_memory(8 << 20);
    long after = number("memory.current");
    if (after - before < 8 << 20 || after - before > 10 << 20)
        FAIL("8 MiB counted as %ld", after - before);
}

TEST(memory_max_kills_the_hog_inside_only)
{
    int status;
    enter_tree();
    CHECK_OK(put("memory.max", "16M"));
    CHECK_EQ(number("memory.max"), 16 << 20);
    put("memory.swap.max", "0");
    CHECK_OK(mkdir(at("a"), 0755));
    pid_t bystander = fork();
    if (bystander == 0)
        for (;;)
            pause();
    IN_CHILD(status, join(); use_memory(64 << 20));
    CHECK_EQ(WTERMSIG(status), SIGKILL);
    CHECK(keyed("memory.events", "oom_kill") >= 1);
    CHECK(keyed("memory.events", "max") >= 1);
    CHECK_EQ(waitpid(bystander, NULL, WNOHANG), 0);
    kill(bystander, SIGKILL);
    IN_CHILD(status, join(); use_memory(8 << 20));
    CHECK_EQ(status, 0);
    long left = 0;
    for (int i = 0; i < 100 && (left = number("memory.current")) > 1 << 20; i++)
        sleep_ms(10);
    if (left > 1 << 20)
        FAIL("%ld bytes are still counted", left);
}

TEST(memory_limit_of_the_parent_holds_for_the_child)
{
    int status;
    enter_tree();
    CHECK_OK(put("memory.max", "16M"));
    CHECK_OK(put("cgroup.subtree_control", "+memory"));
    CHECK_OK(mkdir(at("a"), 0755));
    CHECK_OK(put("a/memory.max", "64M"));
    put("memory.swap.max", "0");
    IN_CHILD(status, CHECK_OK(put("a/cgroup.procs", "0")); use_memory(40 << 20));
    CHECK_EQ(WTERMSIG(status), SIGKILL);
}

TEST(files_in_memory_are_counted)
{
    static char block[1 << 16];
    int status;
    enter_tree();
    CHECK_OK(put("memory.max", "16M"));
    put("memory.swap.max", "0");
    IN_CHILD(status, join(); int fd = memfd_create("hog", 0);
             for (int i = 0; i < 1024; i++) if (write(fd, block, sizeof block) < 0)
                 _exit(errno == ENOMEM ? 3 : 4));
    CHECK(status == SIGKILL || status == 3 << 8);
}

static volatile long *beats;
static pid_t beating_child(void)
{
    beats = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            ++*beats;
    return pid;
}

static void move(pid_t pid, const char *name)
{
    char text[16];
    snprintf(text, sizeof text, "%d", pid);
    CHECK_OK(put(name, text));
}

TEST(freezing_stops_and_thawing_continues)
{
    int status;
    enter_tree();
    pid_t pid = beating_child();
    move(pid, "cgroup.procs");
    CHECK_OK(put("cgroup.freeze", "1"));
    for (int i = 0; i < 100 && !keyed("cgroup.events", "frozen"); i++)
        sleep_ms(5);
    CHECK_EQ(keyed("cgroup.events", "frozen"), 1);
    long before = *beats;
    sleep_ms(100);
    CHECK_EQ(*beats, before);
    CHECK_OK(put("cgroup.freeze", "0"));
    sleep_ms(100);
    CHECK(*beats != before);
    CHECK_EQ(keyed("cgroup.events", "frozen"), 0);
    CHECK_OK(put("cgroup.freeze", "1"));
    CHECK_OK(kill(pid, SIGKILL)); /* a frozen process can be killed */
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_ERR(put("cgroup.freeze", "2"), ERANGE);
}

TEST(cgroup_namespace_hides_what_is_above)
{
    int status;
    enter_tree();
    join();
    IN_CHILD(status, CHECK_OK(unshare(CLONE_NEWCGROUP));
             CHECK_STR(read_file("/proc/self/cgroup"), "0::/\n"));
    CHECK_EQ(status, 0);
}

TEST(removed_cgroups_leave_nothing_behind)
{
    char name[16];
    enter_tree();
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "n%d", i % 7);
        CHECK_OK(mkdir(at(name), 0755));
        int fd = open(at(name), O_RDONLY | O_DIRECTORY);
        CHECK_OK(rmdir(at(name)));
        CHECK_ERR(openat(fd, "cgroup.procs", O_RDONLY), ENOENT);
        close(fd);
    }
}

TEST(listing_shows_files_and_children)
{
    int children = 0, files = 0;
    enter_tree();
    CHECK_OK(mkdir(at("a"), 0755));
    CHECK_OK(mkdir(at("b"), 0755));
    DIR *dir = opendir(base);
    for (struct dirent *entry; (entry = readdir(dir));) {
        children += entry->d_type == DT_DIR && entry->d_name[0] != '.';
        files += entry->d_type == DT_REG;
    }
    CHECK_EQ(children, 2);
    CHECK(files >= 15);
}
