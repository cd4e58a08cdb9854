/* /proc: what it says about processes and about the machine. */
#include "tests/guest/test.h"
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>

/* The value of a line "NAME: value" of a text, without blanks before it; NULL if there is none. */
static const char *field(const char *text, const char *name)
{
    static char value[256];
    size_t length = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            line += length + 1;
            line += strspn(line, " \t");
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\n"), line);
            return value;
        }
    }
    return NULL;
}

TEST(status_names_the_process)
{
    char number[16];
    CHECK_OK(prctl(PR_SET_NAME, "a name"));
    const char *text = read_file("/proc/self/status");
    CHECK_STR(field(text, "Name"), "a name");
    snprintf(number, sizeof number, "%d", getpid());
    CHECK_STR(field(text, "Pid"), number);
    CHECK_STR(field(text, "Tgid"), number);
    snprintf(number, sizeof number, "%d", getppid());
    CHECK_STR(field(text, "PPid"), number);
    CHECK_EQ(field(text, "State")[0], 'R');
    CHECK_STR(field(text, "Threads"), "1");
    snprintf(number, sizeof number, "%d\t%d\t%d\t%d", getuid(), getuid(), getuid(), getuid());
    CHECK_STR(field(text, "Uid"), number);
    CHECK(atoi(field(text, "VmRSS")) > 0);
    CHECK(atoi(field(text, "VmSize")) > 0);
    CHECK(field(text, "CapEff") && strlen(field(text, "CapEff")) == 16);
    CHECK(field(text, "SigCgt") && field(text, "NoNewPrivs") && field(text, "Gid"));
}

TEST(stat_has_52_fields_that_fit)
{
    char *text, state, name[64];
    int pid, ppid, group, session, fields = 0;
    CHECK_OK(prctl(PR_SET_NAME, "odd) name"));
    text = read_file("/proc/self/stat");
    CHECK(text != NULL);
    char *behind = strrchr(text, ')');
    CHECK(behind != NULL);
    CHECK_EQ(sscanf(text, "%d (%63[^\n]", &pid, name), 2);
    CHECK_EQ(strncmp(name, "odd) name)", 10), 0);
    CHECK_EQ(sscanf(behind + 2, "%c %d %d %d", &state, &ppid, &group, &session), 4);
    CHECK_EQ(pid, getpid());
    CHECK_EQ(ppid, getppid());
    CHECK_EQ(group, getpgrp());
    CHECK_EQ(session, getsid(0));
    CHECK_EQ(state, 'R');
    for (char *at = strtok(behind + 2, " \n"); at; at = strtok(NULL, " \n"))
        fields++;
    CHECK_EQ(fields, 50);
}

TEST(states_of_other_processes_are_seen)
{
    char path[40];
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    sleep_ms(30);
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    CHECK_EQ(field(read_file(path), "State")[0], 'S');
    kill(pid, SIGSTOP);
    waitpid(pid, NULL, WUNTRACED);
    CHECK_EQ(field(read_file(path), "State")[0], 'T');
    kill(pid, SIGKILL);
    siginfo_t info;
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    CHECK_EQ(field(read_file(path), "State")[0], 'Z');
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_ERR(access(path, F_OK), ENOENT);
}

TEST(cmdline_and_environ_are_the_stacks)
{
    char path[40];
    int fds[2];
    CHECK_OK(pipe(fds));
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {"cat", "-", "", NULL}, *envp[] = {"A=1", "B=2", NULL};
        dup2(fds[0], 0);
        execve("/bin/cat", argv, envp);
    }
    sleep_ms(100);
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    CHECK_EQ(memcmp(read_file(path), "cat\0-\0\0", 8), 0);
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    CHECK_EQ(memcmp(read_file(path), "A=1\0B=2\0", 9), 0);
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    CHECK_STR(read_file(path), "cat\n");
    kill(pid, SIGKILL);
}

TEST(self_is_a_link_to_ones_own_directory)
{
    char text[64], number[16];
    ssize_t length = readlink("/proc/self", text, sizeof text);
    CHECK(length > 0);
    text[length] = 0;
    snprintf(number, sizeof number, "%d", getpid());
    CHECK_STR(text, number);
    CHILD_PASSES(CHECK_EQ(readlink("/proc/self", text, sizeof text) > 0, 1);
                 CHECK(strcmp(text, number) != 0));
}

TEST(links_of_the_process_lead_to_its_files)
{
    char text[PATH_MAX], want[PATH_MAX];
    enter_scratch();
    ssize_t length = readlink("/proc/self/cwd", text, sizeof text);
    text[length] = 0;
    CHECK_STR(text, scratch);
    length = readlink("/proc/self/root", text, sizeof text);
    text[length] = 0;
    CHECK_STR(text, "/");
    length = readlink("/proc/self/exe", text, sizeof text);
    text[length] = 0;
    CHECK(strstr(text, "procfs") != NULL);
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    snprintf(want, sizeof want, "/proc/self/fd/%d", fd);
    length = readlink(want, text, sizeof text);
    text[length] = 0;
    snprintf(want, sizeof want, "%s/f", scratch);
    CHECK_STR(text, want);
    unlink("f");
    snprintf(want, sizeof want, "/proc/self/fd/%d", fd);
    length = readlink(want, text, sizeof text);
    text[length] = 0;
    CHECK(strstr(text, "/f (deleted)") != NULL);
    CHECK(open(want, O_RDWR) >= 0); /* the link leads to the file, not to its name */
}

TEST(fd_directory_lists_open_descriptors)
{
    int count = 0, seen = 0, fd = dup2(0, 33);
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir));) {
        count++;
        seen |= atoi(entry->d_name) == fd;
    }
    CHECK(seen && count >= 6);
    char path[40], text[64];
    int fds[2];
    CHECK_OK(pipe(fds));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fds[0]);
    ssize_t length = readlink(path, text, sizeof text);
    text[length] = 0;
    CHECK_EQ(strncmp(text, "pipe:[", 6), 0);
}

TEST(maps_describe_the_address_space)
{
    char want[80];
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const char *text = read_file("/proc/self/maps");
    CHECK(text != NULL);
    CHECK(strstr(text, "[stack]") != NULL);
    CHECK(strstr(text, "procfs") != NULL);
    CHECK(strstr(text, " r-xp ") != NULL);
    snprintf(want, sizeof want, "%lx", (unsigned long)page);
    unsigned long start, end;
    char rights[5];
    for (const char *line = text; line && *line; line = strchr(line, '\n') + 1) {
        CHECK_EQ(sscanf(line, "%lx-%lx %4s", &start, &end, rights), 3);
        CHECK(start < end && start % 4096 == 0 && end % 4096 == 0);
        if (start <= (unsigned long)page && (unsigned long)page < end) {
            CHECK_EQ(rights[0], 'r');
            CHECK_EQ(rights[1], '-');
            return;
        }
    }
    FAIL("no line for %s", want);
}

TEST(processes_are_listed_at_the_top)
{
    int found_self = 0, found_one = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(dir));) {
        found_self |= atoi(entry->d_name) == getpid();
        found_one |= strcmp(entry->d_name, "1") == 0;
    }
    CHECK(found_self && found_one);
    CHECK_ERR(open("/proc/0", O_RDONLY), ENOENT);
    CHECK_ERR(open("/proc/99999999", O_RDONLY), ENOENT);
    CHECK_ERR(mkdir("/proc/x", 0755) < 0 && (errno == ENOENT || errno == EPERM || errno == EACCES)
                  ? -1
                  : 0,
              errno);
}

TEST(machine_files_have_what_programs_read)
{
    double up, idle, load;
    const char *text = read_file("/proc/meminfo");
    CHECK(atol(field(text, "MemTotal")) > 16 << 10);
    CHECK(atol(field(text, "MemFree")) > 0);
    CHECK(atol(field(text, "MemAvailable")) > 0);
    CHECK(strstr(field(text, "Buffers"), "kB") && strstr(field(text, "Cached"), "kB"));
    CHECK_EQ(sscanf(read_file("/proc/uptime"), "%lf %lf", &up, &idle), 2);
    CHECK(up > 0);
    CHECK_EQ(sscanf(read_file("/proc/loadavg"), "%lf", &load), 1);
    text = read_file("/proc/stat");
    CHECK_EQ(strncmp(text, "cpu  ", 5), 0);
    CHECK(strstr(text, "\ncpu0 ") && strstr(text, "\nbtime ") && strstr(text, "\nprocesses "));
    CHECK(strstr(read_file("/proc/cpuinfo"), "processor\t: 0") != NULL);
    CHECK(strstr(read_file("/proc/filesystems"), "nodev\ttmpfs") != NULL);
    CHECK(strstr(read_file("/proc/filesystems"), "nodev\tproc\n") != NULL);
    CHECK(read_file("/proc/version") != NULL);
    CHECK(read_file("/proc/cmdline") != NULL);
    CHECK(strstr(read_file("/proc/mounts"), " /proc proc ") != NULL);
}

TEST(mountinfo_lists_mounts_with_their_ids)
{
    int id, parent, major, minor, lines = 0;
    char root[256], target[256];
    for (const char *line = read_file("/proc/self/mountinfo"); line && *line;
         line = strchr(line, '\n') + 1) {
        CHECK_EQ(
            sscanf(line, "%d %d %d:%d %255s %255s", &id, &parent, &major, &minor, root, target), 6);
        CHECK(strstr(line, " - ") != NULL);
        lines++;
    }
    CHECK(lines >= 1);
}

TEST(namespace_links_identify_namespaces)
{
    static const char *const kinds[] = {"pid", "mnt", "uts", "ipc", "user", "cgroup"};
    char path[40], text[64], other[64], number[16];
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
        ssize_t length = readlink(path, text, sizeof text);
        CHECK(length > 0);
        text[length] = 0;
        snprintf(number, sizeof number, "%s:[", kinds[i]);
        CHECK_EQ(strncmp(text, number, strlen(number)), 0);
        snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kinds[i]);
        length = readlink(path, other, sizeof other);
        other[length] = 0;
        CHECK_STR(other, text);
    }
    kill(pid, SIGKILL);
}

static void *wait_a_bit(void *arg)
{
    sleep_ms(200);
    return NULL;
}

TEST(threads_are_listed_as_tasks)
{
    pthread_t thread;
    int count = 0;
    CHECK_OK(pthread_create(&thread, NULL, wait_a_bit, NULL));
    CHECK_STR(field(read_file("/proc/self/status"), "Threads"), "2");
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    CHECK_EQ(count, 2);
}

TEST(reading_in_pieces_gives_the_same_text)
{
    char pieces[4096] = "", *whole = read_file("/proc/self/mounts");
    int fd = open("/proc/self/mounts", O_RDONLY);
    ssize_t got, length = 0;
    while (length < 4000 && (got = read(fd, pieces + length, 7)) > 0)
        length += got;
    CHECK_EQ(strncmp(pieces, whole, (size_t)length), 0);
    CHECK(length == (ssize_t)strlen(whole) || length >= 4000);
}

TEST(files_of_proc_survive_the_end_of_their_process)
{
    char path[40], text[512];
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    int fd = open(path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%d", pid);
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0 && dir >= 0);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_ERR(read(fd, text, sizeof text), ESRCH);
    CHECK(openat(dir, "status", O_RDONLY) < 0);
}
