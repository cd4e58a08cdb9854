/* Namespaces: what a container sees, and what it cannot reach. They need root. */
#include "tests/guest/test.h"
#include <sched.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

static void need(int flags)
{
    int status;
    IN_CHILD(status, _exit(unshare(flags) < 0));
    if (status)
        SKIP("not root");
}

/* Run a statement in a child that was cloned with namespace flags; its wait status. */
#define IN_NEW(flags, status, ...)                                                                 \
    do {                                                                                           \
        fflush(stdout);                                                                            \
        pid_t new_ = (pid_t)syscall(SYS_clone, (flags) | SIGCHLD, 0, 0, 0, 0);                     \
        if (new_ < 0 && errno == EPERM)                                                            \
            SKIP("not root");                                                                      \
        CHECK(new_ >= 0);                                                                          \
        if (new_ == 0) {                                                                           \
            __VA_ARGS__;                                                                           \
            fflush(stdout);                                                                        \
            _exit(0);                                                                              \
        }                                                                                          \
        CHECK_EQ(waitpid(new_, &(status), 0), new_);                                               \
    } while (0)

TEST(uts_namespace_has_its_own_name)
{
    int status;
    struct utsname name;
    char before[65];
    CHECK_OK(uname(&name));
    strcpy(before, name.nodename);
    IN_NEW(CLONE_NEWUTS, status, CHECK_OK(uname(&name)); CHECK_STR(name.nodename, before);
           CHECK_OK(sethostname("inner", 5)); CHECK_OK(uname(&name));
           CHECK_STR(name.nodename, "inner"));
    CHECK_EQ(status, 0);
    CHECK_OK(uname(&name));
    CHECK_STR(name.nodename, before);
    CHECK_ERR(sethostname("x", 65), EINVAL);
    CHECK_ERR(sethostname("x", (size_t)-1), EINVAL);
}

TEST(pid_namespace_counts_from_one)
{
    int status;
    IN_NEW(CLONE_NEWPID, status, CHECK_EQ(getpid(), 1); CHECK_EQ(getppid(), 0); pid_t pid = fork();
           if (pid == 0) _exit(getpid() * 10 + getppid()); int inner; CHECK_EQ(pid, 2);
           CHECK_EQ(waitpid(pid, &inner, 0), 2); CHECK_EQ(inner, 21 << 8));
    CHECK_EQ(status, 0);
}

TEST(processes_of_a_pid_namespace_are_seen_from_outside_not_from_inside)
{
    int fds[2], status;
    pid_t inner;
    CHECK_OK(pipe(fds));
    pid_t outer = getpid();
    IN_NEW(CLONE_NEWPID, status, CHECK_ERR(kill(outer, 0), ESRCH);
           CHECK_ERR(kill(outer, SIGKILL), ESRCH); pid_t self = getpid();
           CHECK_EQ(write(fds[1], &self, sizeof self), sizeof self));
    CHECK_EQ(status, 0);
    CHECK_EQ(read(fds[0], &inner, sizeof inner), sizeof inner);
    CHECK_EQ(inner, 1);
}

TEST(end_of_pid_one_ends_its_namespace)
{
    int fds[2], status;
    char byte;
    CHECK_OK(pipe(fds));
    IN_NEW(CLONE_NEWPID, status, close(fds[0]);
           for (int i = 0; i < 5; i++) if (fork() == 0) for (;;) pause(); _exit(9));
    CHECK_EQ(status, 9 << 8);
    close(fds[1]);
    CHECK_EQ(read(fds[0], &byte, 1), 0); /* every copy of the writing end is gone */
}

TEST(pid_one_reaps_orphans)
{
    int status;
    IN_NEW(
        CLONE_NEWPID, status, pid_t pid = fork(); if (pid == 0) {
            if (fork() == 0) {
                sleep_ms(30);
                _exit(getppid() == 1 ? 4 : 5);
            }
            _exit(0);
        } int ended;
        CHECK_EQ(waitpid(pid, &ended, 0), pid); CHECK_EQ(waitpid(-1, &ended, 0), 3);
        CHECK_EQ(ended, 4 << 8));
    CHECK_EQ(status, 0);
}

TEST(pid_one_ignores_signals_it_does_not_handle_from_inside)
{
    int status;
    IN_NEW(
        CLONE_NEWPID, status, raise(SIGTERM); kill(1, SIGKILL); if (fork() == 0) {
            kill(1, SIGKILL);
            kill(1, SIGINT);
            _exit(0);
        } wait(NULL);
        _exit(6));
    CHECK_EQ(status, 6 << 8);
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        for (;;)
            pause();
    CHECK_OK(kill(pid, SIGKILL)); /* from outside it works */
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, SIGKILL);
}

TEST(kill_everybody_stays_inside)
{
    int status;
    pid_t bystander = fork();
    if (bystander == 0)
        for (;;)
            pause();
    IN_NEW(CLONE_NEWPID, status, pid_t pid = fork(); if (pid == 0) for (;;) pause();
           CHECK_OK(kill(-1, SIGKILL)); int ended; CHECK_EQ(waitpid(pid, &ended, 0), pid);
           CHECK_EQ(ended, SIGKILL));
    CHECK_EQ(status, 0);
    CHECK_EQ(waitpid(bystander, NULL, WNOHANG), 0);
    kill(bystander, SIGKILL);
}

TEST(proc_shows_a_pid_namespace_its_own_pids)
{
    int status;
    need(CLONE_NEWNS);
    enter_scratch();
    IN_NEW(CLONE_NEWPID | CLONE_NEWNS, status,
           CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
           CHECK_OK(mount("proc", ".", "proc", 0, NULL)); CHECK_OK(chdir(scratch));
           CHECK_OK(access("1/status", F_OK)); CHECK_ERR(access("2/status", F_OK), ENOENT);
           CHECK(strstr(read_file("self/status"), "\nPid:\t1\n") != NULL));
    CHECK_EQ(status, 0);
}

TEST(unshare_of_the_pid_namespace_is_for_children)
{
    int status;
    pid_t before = getpid();
    need(CLONE_NEWPID);
    CHECK_OK(unshare(CLONE_NEWPID));
    CHECK_EQ(getpid(), before);
    IN_CHILD(status, CHECK_EQ(getpid(), 1));
    CHECK_EQ(status, 0);
    CHECK_ERR(fork(), ENOMEM); /* its pid 1 is gone */
}

TEST(ns_file_with_setns_leads_into_a_namespace)
{
    int status, fds[2];
    struct utsname name;
    char path[40];
    need(CLONE_NEWUTS);
    CHECK_OK(pipe(fds));
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_OK(unshare(CLONE_NEWUTS));
        CHECK_OK(sethostname("target", 6));
        CHECK_EQ(write(fds[1], "r", 1), 1);
        for (;;)
            pause();
    }
    CHECK_EQ(read(fds[0], path, 1), 1);
    snprintf(path, sizeof path, "/proc/%d/ns/uts", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    IN_CHILD(status, CHECK_ERR(setns(fd, CLONE_NEWPID), EINVAL); CHECK_OK(setns(fd, CLONE_NEWUTS));
             CHECK_OK(uname(&name)); CHECK_STR(name.nodename, "target"));
    CHECK_EQ(status, 0);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    IN_CHILD(status, CHECK_OK(setns(fd, 0)); CHECK_OK(uname(&name));
             CHECK_STR(name.nodename, "target"));
    CHECK_EQ(status, 0); /* the descriptor keeps it */
    CHECK_ERR(setns(fds[0], 0), EINVAL);
    CHECK_ERR(setns(-1, 0), EBADF);
}

TEST(setns_into_a_pid_namespace_makes_children_there)
{
    int status;
    char path[40];
    need(CLONE_NEWPID);
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        for (;;)
            pause();
    snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
    int fd = open(path, O_RDONLY);
    CHECK_OK(setns(fd, CLONE_NEWPID));
    IN_CHILD(status, CHECK_EQ(getpid(), 2); CHECK_EQ(getppid(), 0); CHECK_OK(kill(1, 0)));
    CHECK_EQ(status, 0);
    kill(pid, SIGKILL);
}

static void map_self(uid_t inside, uid_t outside)
{
    char text[64];
    snprintf(text, sizeof text, "%u %u 1\n", (unsigned)inside, (unsigned)outside);
    CHECK_OK(write_file("/proc/self/uid_map", text));
    CHECK_OK(write_file("/proc/self/setgroups", "deny"));
    CHECK_OK(write_file("/proc/self/gid_map", text));
}

TEST(user_namespace_gives_root_inside_only)
{
    int status;
    enter_scratch();
    CHECK_OK(write_file("f", ""));
    CHECK_OK(chmod(".", 0755));
    IN_CHILD(
        status,
        if (geteuid() == 0) {
            CHECK_OK(setresgid(1000, 1000, 1000));
            CHECK_OK(setresuid(1000, 1000, 1000));
        } uid_t outside = geteuid();
        prctl(PR_SET_DUMPABLE, 1); if (unshare(CLONE_NEWUSER) < 0) SKIP("not allowed here");
        CHECK_EQ(getuid(), 65534); map_self(0, outside); CHECK_EQ(getuid(), 0);
        CHECK_EQ(geteuid(), 0); struct stat st; CHECK_OK(stat("f", &st));
        CHECK_EQ(st.st_uid, 65534); CHECK_OK(unshare(CLONE_NEWUTS | CLONE_NEWNS));
        CHECK_OK(sethostname("mine", 4)); CHECK_OK(mount("none", "/tmp", "tmpfs", 0, NULL));
        CHECK_ERR(chown("/etc", 0, 0), EPERM); /* no power over what is not mapped */
        CHECK_ERR(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x89abcdef, 0), EPERM));
    if (status == SKIPPED << 8)
        _exit(SKIPPED);
    CHECK_EQ(status, 0);
}

TEST(uid_map_can_be_written_once_and_shown)
{
    int status;
    unsigned inside, outside, count;
    uid_t me = geteuid();
    IN_CHILD(status, if (unshare(CLONE_NEWUSER) < 0) SKIP("not allowed here"); map_self(7, me);
             CHECK_EQ(getuid(), 7); CHECK_EQ(
                 sscanf(read_file("/proc/self/uid_map"), "%u %u %u", &inside, &outside, &count), 3);
             CHECK_EQ(inside, 7); CHECK_EQ(outside, me); CHECK_EQ(count, 1);
             CHECK_ERR(write_file("/proc/self/uid_map", "8 0 1\n"), EPERM);
             CHECK_ERR(write_file("/proc/self/setgroups", "allow"), EPERM));
    if (status == SKIPPED << 8)
        _exit(SKIPPED);
    CHECK_EQ(status, 0);
}

TEST(ipc_net_and_cgroup_namespaces_can_be_made)
{
    int status;
    char before[64], after[64];
    static const char *const paths[] = {"/proc/self/ns/ipc", "/proc/self/ns/net",
                                        "/proc/self/ns/cgroup"};
    static const int flags[] = {CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWCGROUP};
    for (int i = 0; i < 3; i++) {
        ssize_t length = readlink(paths[i], before, sizeof before - 1);
        before[length] = 0;
        IN_NEW(flags[i], status, length = readlink(paths[i], after, sizeof after - 1);
               after[length] = 0; CHECK(strcmp(before, after) != 0));
        CHECK_EQ(status, 0);
    }
}

TEST(all_namespaces_at_once_as_a_container_has_them)
{
    int status;
    IN_NEW(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP |
               CLONE_NEWNET,
           status, CHECK_EQ(getpid(), 1);
           CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
           CHECK_OK(sethostname("box", 3)); CHECK_OK(mount("none", "/tmp", "tmpfs", 0, NULL)));
    CHECK_EQ(status, 0);
    for (int i = 0; i < 30; i++) { /* and nothing is left of them */
        IN_NEW(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP |
                   CLONE_NEWNET,
               status, _exit(i));
        CHECK_EQ(status, i << 8);
    }
}
