/* Mounts: file systems, bind mounts, flags, moving, pivot_root, and their privacy. They need root.
 */
#include "tests/guest/test.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

/* A mount namespace of one's own whose mounts go nowhere else, and a scratch directory in it. */
static void enter_private(void)
{
    if (unshare(CLONE_NEWNS) < 0)
        SKIP("not root");
    CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    enter_scratch();
    CHECK_OK(mkdir("m", 0755));
}

static int exists(const char *path)
{
    return access(path, F_OK) == 0;
}

TEST(tmpfs_hides_what_is_below_and_umount_shows_it_again)
{
    enter_private();
    CHECK_OK(write_file("m/below", "x"));
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    CHECK(!exists("m/below"));
    CHECK_OK(write_file("m/above", "y"));
    CHECK_OK(umount("m"));
    CHECK(exists("m/below") && !exists("m/above"));
    CHECK_ERR(umount("m"), EINVAL);
}

TEST(tmpfs_takes_its_options)
{
    struct stat st;
    struct statfs fs;
    static char block[65536];
    enter_private();
    CHECK_OK(mount("none", "m", "tmpfs", 0, "size=1m,mode=1750,uid=5,gid=6"));
    CHECK_OK(stat("m", &st));
    CHECK_EQ(st.st_mode, S_IFDIR | 01750);
    CHECK_EQ(st.st_uid, 5);
    CHECK_EQ(st.st_gid, 6);
    CHECK_OK(statfs("m", &fs));
    CHECK_EQ(fs.f_type, 0x01021994);
    CHECK_EQ(fs.f_blocks * (unsigned long)fs.f_bsize, 1 << 20);
    int fd = open("m/f", O_CREAT | O_RDWR, 0600), wrote = 0;
    while (write(fd, block, sizeof block) == sizeof block)
        wrote++;
    CHECK(wrote >= 12 && wrote <= 16);
    CHECK_ERR(write(fd, block, sizeof block) == sizeof block ? 0 : -1, ENOSPC);
    CHECK_OK(ftruncate(fd, 0)); /* the room comes back */
    CHECK_EQ(write(fd, block, sizeof block), sizeof block);
    CHECK_ERR(mount("none", "m", "tmpfs", 0, "nonsense=1"), EINVAL);
}

TEST(mount_refuses_what_makes_no_sense)
{
    enter_private();
    CHECK_ERR(mount("none", "m", "no-such-type", 0, NULL), ENODEV);
    CHECK_ERR(mount("none", "missing", "tmpfs", 0, NULL), ENOENT);
    CHECK_OK(write_file("f", ""));
    CHECK_ERR(mount("none", "f", "tmpfs", 0, NULL), ENOTDIR);
    CHECK_ERR(mount("missing", "m", NULL, MS_BIND, NULL), ENOENT);
    CHECK_ERR(mount("f", "m", NULL, MS_BIND, NULL), ENOTDIR);
    CHECK_ERR(mount("none", "m", NULL, MS_REMOUNT, NULL), EINVAL); /* nothing mounted there */
    CHECK_ERR(umount2("m", 0x7000), EINVAL);
    CHECK_ERR(umount2("missing", 0), ENOENT);
}

TEST(busy_mounts_stay_unless_detached)
{
    enter_private();
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    int fd = open("m/f", O_CREAT | O_RDWR, 0600);
    CHECK_ERR(umount("m"), EBUSY);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_OK(umount2("m", MNT_DETACH));
    CHECK(!exists("m/f"));
    CHECK_EQ(pwrite(fd, "y", 1, 1), 1); /* who has it open keeps it */
    CHECK_ERR(rmdir("missing"), ENOENT);
    CHECK_OK(rmdir("m"));
}

TEST(mount_points_cannot_be_removed_or_renamed)
{
    enter_private();
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    CHECK_ERR(rmdir("m"), EBUSY);
    CHECK_ERR(rename("m", "n"), EBUSY);
    CHECK_OK(mkdir("d", 0755));
    CHECK_ERR(rename("d", "m/d"), EXDEV);
    CHECK_OK(write_file("f", ""));
    CHECK_ERR(link("f", "m/f"), EXDEV);
}

TEST(dot_dot_leaves_a_mount_at_its_top)
{
    struct stat top, up;
    enter_private();
    CHECK_OK(stat(".", &top));
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    CHECK_OK(stat("m/..", &up));
    CHECK_EQ(up.st_ino, top.st_ino);
    CHECK_EQ(up.st_dev, top.st_dev);
    CHECK_OK(stat("m", &up));
    CHECK(up.st_dev != top.st_dev);
}

TEST(bind_mount_shows_a_directory_twice)
{
    enter_private();
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(mkdir("d/sub", 0755));
    CHECK_OK(mount("none", "d/sub", "tmpfs", 0, NULL));
    CHECK_OK(write_file("d/sub/deep", "x"));
    CHECK_OK(mount("d", "m", NULL, MS_BIND, NULL));
    CHECK_OK(write_file("m/f", "through"));
    CHECK_STR(read_file("d/f"), "through");
    CHECK(!exists("m/sub/deep")); /* mounts below come only with MS_REC */
    CHECK_OK(umount("m"));
    CHECK_OK(mount("d", "m", NULL, MS_BIND | MS_REC, NULL));
    CHECK(exists("m/sub/deep"));
    CHECK_ERR(umount("m"), EBUSY);
    CHECK_OK(umount2("m", MNT_DETACH));
}

TEST(bind_mount_of_a_file_replaces_a_file)
{
    enter_private();
    CHECK_OK(write_file("a", "first"));
    CHECK_OK(write_file("b", "second"));
    CHECK_OK(mount("a", "b", NULL, MS_BIND, NULL));
    CHECK_STR(read_file("b"), "first");
    CHECK_ERR(unlink("b"), EBUSY);
    CHECK_OK(umount("b"));
    CHECK_STR(read_file("b"), "second");
}

TEST(read_only_mounts_refuse_writes_and_only_there)
{
    enter_private();
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(write_file("d/f", "x"));
    CHECK_OK(mount("d", "m", NULL, MS_BIND, NULL));
    CHECK_OK(mount(NULL, "m", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
    CHECK_ERR(open("m/f", O_WRONLY), EROFS);
    CHECK_ERR(open("m/new", O_CREAT | O_WRONLY, 0600), EROFS);
    CHECK_ERR(unlink("m/f"), EROFS);
    CHECK_ERR(mkdir("m/x", 0755), EROFS);
    CHECK_ERR(chmod("m/f", 0600), EROFS);
    CHECK_ERR(truncate("m/f", 0), EROFS);
    CHECK_ERR(access("m/f", W_OK), EROFS);
    CHECK_ERR(rename("m/f", "m/g"), EROFS);
    CHECK_ERR(symlink("x", "m/s"), EROFS);
    CHECK(open("m/f", O_RDONLY) >= 0);
    CHECK_OK(write_file("d/f", "y"));
    CHECK_OK(umount2("m", MNT_DETACH));
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    int fd = open("m/open", O_CREAT | O_WRONLY, 0600);
    CHECK_ERR(mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY);
    close(fd);
    CHECK_OK(mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
    CHECK_ERR(open("m/f", O_CREAT | O_WRONLY, 0600), EROFS);
    CHECK_OK(mount(NULL, "m", NULL, MS_REMOUNT, NULL));
    CHECK(open("m/f", O_CREAT | O_WRONLY, 0600) >= 0);
}

TEST(noexec_and_nodev_are_kept)
{
    char *argv[] = {"true", NULL};
    enter_private();
    CHECK_OK(mount("none", "m", "tmpfs", MS_NOEXEC | MS_NODEV, NULL));
    CHECK_OK(system("cp /bin/busybox m/true"));
    CHECK_ERR(execv("m/true", argv), EACCES);
    CHECK_OK(mknod("m/null", S_IFCHR | 0666, 0x103));
    CHECK_ERR(open("m/null", O_RDONLY), EACCES);
    CHECK(strstr(read_file("/proc/self/mounts"), "nodev,noexec") != NULL);
}

TEST(mounts_stack_and_can_be_moved)
{
    enter_private();
    CHECK_OK(mkdir("n", 0755));
    CHECK_OK(mount("first", "m", "tmpfs", 0, NULL));
    CHECK_OK(write_file("m/1", ""));
    CHECK_OK(mount("second", "m", "tmpfs", 0, NULL));
    CHECK_OK(write_file("m/2", ""));
    CHECK(!exists("m/1"));
    CHECK_OK(mount("m", "n", NULL, MS_MOVE, NULL));
    CHECK(exists("m/1") && exists("n/2"));
    CHECK_ERR(mount("n", "n/x", NULL, MS_MOVE, NULL), ENOENT);
    CHECK_OK(mkdir("n/x", 0755));
    CHECK_ERR(mount("n", "n/x", NULL, MS_MOVE, NULL), ELOOP);
    CHECK_ERR(mount("n/x", "m", NULL, MS_MOVE, NULL), EINVAL); /* no mount */
}

TEST(a_mount_namespace_has_its_own_mounts)
{
    int status;
    enter_private();
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    CHECK_OK(write_file("m/shared", ""));
    IN_CHILD(status, CHECK_OK(unshare(CLONE_NEWNS)); CHECK(exists("m/shared"));
             CHECK_OK(umount("m")); CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
             CHECK_OK(write_file("m/inner", "")));
    CHECK_EQ(status, 0);
    CHECK(exists("m/shared") && !exists("m/inner"));
}

TEST(pivot_root_swaps_the_root)
{
    struct stat before, now;
    enter_private();
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    CHECK_OK(mkdir("m/old", 0755));
    CHECK_OK(write_file("m/marker", "here"));
    CHECK_OK(stat("m", &before));
    CHECK_OK(chdir("m"));
    if (syscall(SYS_pivot_root, ".", "old") < 0 && errno == EINVAL)
        SKIP("the root of this machine is its first file system"); /* Linux's rootfs cannot be moved
                                                                    */
    CHECK_OK(chdir("/"));
    CHECK_STR(read_file("/marker"), "here");
    CHECK_OK(stat("/", &now));
    CHECK_EQ(now.st_ino, before.st_ino);
    CHECK(exists("/old/bin") && exists("/old/proc"));
    CHECK_OK(umount2("/old", MNT_DETACH));
    CHECK(!exists("/old/bin"));
    CHECK_OK(stat("/..", &now));
    CHECK_EQ(now.st_dev, before.st_dev);
}

TEST(pivot_root_onto_itself_is_what_containers_do)
{
    enter_private();
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    CHECK_OK(write_file("m/marker", "here"));
    CHECK_OK(chdir("m"));
    if (syscall(SYS_pivot_root, ".", ".") < 0 && errno == EINVAL)
        SKIP("the root of this machine is its first file system");
    CHECK_OK(umount2(".", MNT_DETACH));
    CHECK_OK(chdir("/"));
    CHECK_STR(read_file("/marker"), "here");
    CHECK(!exists("/bin"));
}

TEST(pivot_root_refuses_what_is_no_mount_point)
{
    enter_private();
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    CHECK_ERR(syscall(SYS_pivot_root, "missing", "d"), ENOENT);
    /* no mount point, and not below the new root: Linux tells either reason first */
    CHECK(syscall(SYS_pivot_root, "d", "d") < 0 && (errno == EINVAL || errno == EBUSY));
    CHECK(syscall(SYS_pivot_root, "m", "d") < 0 && (errno == EINVAL || errno == EBUSY));
}

TEST(mounts_are_listed_as_seen_from_the_root)
{
    char want[128];
    enter_private();
    CHECK_OK(mount("the name", "m", "tmpfs", MS_NOSUID, NULL));
    snprintf(want, sizeof want, "the\\040name %s/m tmpfs rw,nosuid,relatime", scratch);
    const char *text = read_file("/proc/self/mounts");
    if (!strstr(text, want)) {
        snprintf(want, sizeof want, "the\\040name %s/m tmpfs rw,nosuid", scratch);
        CHECK(strstr(text, want) != NULL);
    }
}

TEST(many_mounts_come_and_go)
{
    enter_private();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 60; i++)
            CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
        for (int i = 0; i < 60; i++)
            CHECK_OK(umount("m"));
        CHECK_ERR(umount("m"), EINVAL);
    }
}
