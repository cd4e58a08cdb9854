/* Users, groups and capabilities, and the permissions that they give or not. These tests need root.
 */
#include "tests/guest/test.h"
#include <grp.h>
#include <sys/auxv.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static void need_root(void)
{
    if (geteuid() != 0)
        SKIP("not root");
}

static void become(uid_t user)
{
    CHECK_OK(setgroups(0, NULL));
    CHECK_OK(setresgid(user, user, user));
    CHECK_OK(setresuid(user, user, user));
}

static void check_ids(uid_t real, uid_t effective, uid_t saved)
{
    uid_t r, e, s;
    CHECK_OK(getresuid(&r, &e, &s));
    CHECK_EQ(r, real);
    CHECK_EQ(e, effective);
    CHECK_EQ(s, saved);
}

TEST(setuid_by_root_sets_all_three)
{
    need_root();
    CHECK_OK(setuid(1000));
    check_ids(1000, 1000, 1000);
    CHECK_ERR(setuid(0), EPERM);
    CHECK_ERR(setgid(5), EPERM);
    CHECK_ERR(setgroups(0, NULL), EPERM);
    CHECK_OK(setuid(1000));
}

TEST(saved_id_lets_one_go_back)
{
    need_root();
    CHECK_OK(setresuid((uid_t)-1, 1000, (uid_t)-1));
    check_ids(0, 1000, 0);
    CHECK_ERR(open("/proc/1/environ", O_RDONLY) < 0 ? -1 : 0, EACCES);
    CHECK_OK(setresuid((uid_t)-1, 0, (uid_t)-1));
    check_ids(0, 0, 0);
    CHECK_OK(setreuid(5, 6));
    check_ids(5, 6, 6);
    CHECK_ERR(setresuid(7, (uid_t)-1, (uid_t)-1), EPERM);
    CHECK_OK(setresuid(6, 5, (uid_t)-1));
    check_ids(6, 5, 6);
}

TEST(groups_can_be_set_and_asked)
{
    gid_t want[3] = {11, 22, 33}, got[8];
    need_root();
    CHECK_OK(setgroups(3, want));
    CHECK_EQ(getgroups(0, NULL), 3);
    CHECK_EQ(getgroups(8, got), 3);
    CHECK_EQ(got[0] + got[1] + got[2], 66);
    CHECK_ERR(getgroups(1, got), EINVAL);
    CHECK_OK(setregid(4, 5));
    CHECK_EQ(getgid(), 4);
    CHECK_EQ(getegid(), 5);
}

TEST(file_modes_are_kept_for_others)
{
    need_root();
    enter_scratch();
    CHECK_OK(write_file("private", "secret"));
    CHECK_OK(chmod("private", 0600));
    CHECK_OK(write_file("public", "open"));
    CHECK_OK(mkdir("closed", 0700));
    CHECK_OK(write_file("closed/f", "x"));
    CHECK_OK(mkdir("sticky", 0777));
    CHECK_OK(chmod("sticky", 01777));
    CHECK_OK(write_file("sticky/f", "x"));
    CHECK_OK(write_file("group", "g"));
    CHECK_OK(chown("group", 0, 1000));
    CHECK_OK(chmod("group", 0040));
    become(1000);
    CHECK_ERR(open("private", O_RDONLY), EACCES);
    CHECK(open("public", O_RDONLY) >= 0);
    CHECK_ERR(open("public", O_WRONLY), EACCES);
    CHECK_ERR(open("closed/f", O_RDONLY), EACCES);
    CHECK_ERR(unlink("public"), EACCES);
    CHECK_ERR(open("new", O_CREAT | O_WRONLY, 0600), EACCES);
    CHECK_ERR(unlink("sticky/f"), EPERM);
    CHECK(open("sticky/mine", O_CREAT | O_WRONLY, 0600) >= 0);
    CHECK_OK(unlink("sticky/mine"));
    CHECK(open("group", O_RDONLY) >= 0);
    CHECK_ERR(open("group", O_WRONLY), EACCES);
    CHECK_ERR(access("private", R_OK), EACCES);
    CHECK_OK(access("private", F_OK));
    CHECK_ERR(chmod("public", 0777), EPERM);
    CHECK_ERR(chown("public", 1000, 1000), EPERM);
    CHECK_ERR(truncate("public", 0), EACCES);
    CHECK_ERR(chdir("closed"), EACCES);
}

TEST(root_reads_everything_but_runs_only_what_has_an_x)
{
    char *argv[] = {"x", NULL};
    need_root();
    enter_scratch();
    CHECK_OK(write_file("f", "#!/bin/sh\n"));
    CHECK_OK(chmod("f", 0));
    CHECK(open("f", O_RDWR) >= 0);
    CHECK_ERR(execv("./f", argv), EACCES);
    CHECK_ERR(access("f", X_OK), EACCES);
    CHECK_OK(access("f", R_OK | W_OK));
}

TEST(privileged_calls_are_refused_to_others)
{
    need_root();
    enter_scratch();
    become(1000);
    CHECK_ERR(chroot("."), EPERM);
    CHECK_ERR(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
    CHECK_ERR(umount2("/proc", 0), EPERM);
    CHECK_ERR(sethostname("x", 1), EPERM);
    CHECK_ERR(mknod("/tmp/n", S_IFCHR | 0600, 0x103), EPERM);
    CHECK_ERR(syscall(SYS_unshare, 0x20000), EPERM); /* CLONE_NEWNS */
    CHECK_ERR(setpriority(PRIO_PROCESS, 0, -5), EACCES);
    CHECK_ERR(kill(1, 0), EPERM);
    struct rlimit limit;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_max++;
    CHECK_ERR(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
    CHECK_ERR(syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0), EPERM);
}

/* This program, copied under the name "suid", only tells whether it runs as root. */
__attribute__((constructor)) static void tell_root(void)
{
    const char *name = (const char *)getauxval(AT_EXECFN);
    if (strcmp(name, "./suid") == 0)
        _exit(geteuid() == 0 ? 10 : 20);
}

TEST(setuid_bit_gives_the_owners_rights)
{
    int status;
    char *argv[] = {"suid", NULL};
    struct stat st;
    need_root();
    enter_scratch();
    CHECK_OK(system("cp /proc/$PPID/exe suid"));
    CHECK_OK(chmod("suid", 04755));
    IN_CHILD(status, become(1000); execv("./suid", argv));
    CHECK_EQ(status, 10 << 8);
    IN_CHILD(status, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); become(1000); execv("./suid", argv));
    CHECK_EQ(status, 20 << 8);
    CHECK_OK(chown("suid", 1000, 1000)); /* a new owner does not inherit the bit */
    CHECK_OK(stat("suid", &st));
    CHECK_EQ(st.st_mode & 04000, 0);
}

static struct __user_cap_data_struct caps[2];
static struct __user_cap_header_struct cap_header = {_LINUX_CAPABILITY_VERSION_3, 0};

TEST(capabilities_can_be_dropped_and_not_taken_back)
{
    need_root();
    CHECK_OK(capget(&cap_header, caps));
    CHECK(caps[0].effective & 1 << CAP_CHOWN);
    caps[0].effective &= ~(1u << CAP_CHOWN);
    CHECK_OK(capset(&cap_header, caps));
    enter_scratch();
    CHECK_OK(write_file("f", ""));
    CHECK_ERR(chown("f", 5, 5), EPERM);
    caps[0].effective |= 1u << CAP_CHOWN; /* still permitted */
    CHECK_OK(capset(&cap_header, caps));
    CHECK_OK(chown("f", 5, 5));
    caps[0].permitted &= ~(1u << CAP_CHOWN);
    caps[0].effective &= ~(1u << CAP_CHOWN);
    CHECK_OK(capset(&cap_header, caps));
    caps[0].permitted |= 1u << CAP_CHOWN;
    CHECK_ERR(capset(&cap_header, caps), EPERM);
    struct __user_cap_header_struct old = {0x12345, 0};
    CHECK_ERR(capget(&old, caps), EINVAL);
    CHECK_EQ(old.version, _LINUX_CAPABILITY_VERSION_3);
}

TEST(leaving_root_loses_capabilities_unless_kept)
{
    need_root();
    CHILD_PASSES(CHECK_OK(setuid(1000)); CHECK_OK(capget(&cap_header, caps));
                 CHECK_EQ(caps[0].effective, 0); CHECK_EQ(caps[0].permitted, 0));
    CHILD_PASSES(CHECK_OK(prctl(PR_SET_KEEPCAPS, 1)); CHECK_OK(setuid(1000));
                 CHECK_OK(capget(&cap_header, caps)); CHECK_EQ(caps[0].effective, 0);
                 CHECK(caps[0].permitted != 0));
}

TEST(bounding_set_limits_what_exec_gives)
{
    int status;
    need_root();
    CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_TIME), 1);
    CHECK_OK(prctl(PR_CAPBSET_DROP, CAP_CHOWN));
    CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 0);
    CHECK_ERR(prctl(PR_CAPBSET_READ, 77), EINVAL);
    enter_scratch();
    CHECK_OK(write_file("f", ""));
    char *argv[] = {"chown", "5", "f", NULL};
    IN_CHILD(status, close(2); execv("/bin/chown", argv));
    CHECK(status != 0);
}

TEST(no_new_privileges_stays)
{
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    CHILD_PASSES(CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1));
}

TEST(priorities_can_be_lowered_and_asked)
{
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
    CHECK_OK(setpriority(PRIO_PROCESS, 0, 10));
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 10);
    CHECK_OK(setpriority(PRIO_PROCESS, 0, 100));
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
    CHECK_ERR(getpriority(77, 0), EINVAL);
    CHECK_ERR(getpriority(PRIO_PROCESS, 0x3fffffff), ESRCH);
}
