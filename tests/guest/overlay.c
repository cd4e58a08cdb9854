/* overlay: lower directories shown through an upper one that takes every change. They need root. */
#include "tests/guest/test.h"
#include <dirent.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

/* low2 lies below low1, up takes the changes, m shows them all; everything is in a tmpfs of the
 * test's own. */
static void enter_layers(void)
{
    if (unshare(CLONE_NEWNS) < 0)
        SKIP("not root");
    CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    enter_scratch();
    CHECK_OK(mount("none", scratch, "tmpfs", 0, NULL));
    CHECK_OK(chdir(scratch));
    static const char *const dirs[] = {"low1", "low2", "up", "work", "m"};
    for (int i = 0; i < 5; i++)
        CHECK_OK(mkdir(dirs[i], 0755));
}

static void show(void)
{
    if (mount("overlay", "m", "overlay", 0, "lowerdir=low1:low2,upperdir=up,workdir=work") < 0) {
        if (errno == ENODEV)
            SKIP("no overlay");
        FAIL("mount: %s", strerror(errno));
    }
}

static int exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static int count(const char *path)
{
    int entries = 0;
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir));)
        entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return entries;
}

TEST(upper_names_hide_lower_ones_and_directories_merge)
{
    enter_layers();
    CHECK_OK(write_file("low1/a", "low1"));
    CHECK_OK(write_file("low2/a", "low2"));
    CHECK_OK(write_file("low2/b", "low2"));
    CHECK_OK(write_file("up/c", "up"));
    CHECK_OK(mkdir("low1/d", 0755));
    CHECK_OK(mkdir("low2/d", 0755));
    CHECK_OK(write_file("low1/d/1", ""));
    CHECK_OK(write_file("low2/d/2", ""));
    show();
    CHECK_STR(read_file("m/a"), "low1");
    CHECK_STR(read_file("m/b"), "low2");
    CHECK_STR(read_file("m/c"), "up");
    CHECK_EQ(count("m"), 4);
    CHECK_EQ(count("m/d"), 2);
}

TEST(writing_copies_up_and_leaves_the_lower_file)
{
    struct stat st;
    enter_layers();
    CHECK_OK(write_file("low1/f", "before"));
    CHECK_OK(chmod("low1/f", 0640));
    CHECK_OK(chown("low1/f", 5, 6));
    CHECK_OK(mkdir("low1/d", 0750));
    CHECK_OK(write_file("low1/d/deep", "before"));
    show();
    int fd = open("m/f", O_WRONLY | O_APPEND);
    CHECK_EQ(write(fd, " after", 6), 6);
    CHECK_STR(read_file("m/f"), "before after");
    CHECK_STR(read_file("low1/f"), "before");
    CHECK_STR(read_file("up/f"), "before after");
    CHECK_OK(stat("up/f", &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0640);
    CHECK_EQ(st.st_uid, 5);
    CHECK_OK(write_file("m/d/deep", "changed"));
    CHECK_STR(read_file("up/d/deep"), "changed");
    CHECK_OK(stat("up/d", &st));
    CHECK_EQ(st.st_mode, S_IFDIR | 0750);
    CHECK_OK(chmod("m/d", 0700));
    CHECK_OK(stat("low1/d", &st));
    CHECK_EQ(st.st_mode, S_IFDIR | 0750);
}

TEST(reading_copies_nothing)
{
    enter_layers();
    CHECK_OK(write_file("low1/f", "text"));
    show();
    CHECK_STR(read_file("m/f"), "text");
    CHECK_EQ(count("m"), 1);
    CHECK_EQ(count("up"), 0);
}

TEST(removed_lower_names_stay_away)
{
    struct stat st;
    enter_layers();
    CHECK_OK(write_file("low1/f", "x"));
    CHECK_OK(write_file("low2/f", "y"));
    CHECK_OK(mkdir("low1/d", 0755));
    CHECK_OK(write_file("low1/d/x", ""));
    show();
    CHECK_OK(unlink("m/f"));
    CHECK(!exists("m/f"));
    CHECK_ERR(unlink("m/f"), ENOENT);
    CHECK_OK(lstat("up/f", &st)); /* a whiteout: a device 0, 0 */
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(st.st_rdev, makedev(0, 0));
    CHECK_ERR(rmdir("m/d"), ENOTEMPTY);
    CHECK_OK(unlink("m/d/x"));
    CHECK_OK(rmdir("m/d"));
    CHECK_EQ(count("m"), 0);
    CHECK(exists("low1/f") && exists("low1/d/x"));
    CHECK_OK(write_file("m/f", "new")); /* the name can be had again */
    CHECK_STR(read_file("m/f"), "new");
    CHECK_OK(mkdir("m/d", 0755));
    CHECK_EQ(count("m/d"), 0); /* and the new directory shows nothing of the old one */
}

TEST(whiteouts_of_a_lower_layer_hide_what_is_below_it)
{
    enter_layers();
    CHECK_OK(write_file("low2/f", "hidden"));
    CHECK_OK(mknod("low1/f", S_IFCHR, makedev(0, 0)));
    show();
    CHECK(!exists("m/f"));
    CHECK_EQ(count("m"), 0);
}

TEST(rename_within_and_over)
{
    enter_layers();
    CHECK_OK(write_file("low1/a", "A"));
    CHECK_OK(write_file("low1/b", "B"));
    show();
    CHECK_OK(rename("m/a", "m/c"));
    CHECK(!exists("m/a"));
    CHECK_STR(read_file("m/c"), "A");
    CHECK_OK(rename("m/c", "m/b"));
    CHECK_STR(read_file("m/b"), "A");
    CHECK_EQ(count("m"), 1);
    CHECK_OK(mkdir("m/d", 0755)); /* a directory of the upper layer alone moves */
    CHECK_OK(write_file("m/d/x", ""));
    CHECK_OK(rename("m/d", "m/e"));
    CHECK(exists("m/e/x") && !exists("m/d"));
}

TEST(links_and_special_files_work)
{
    struct stat st;
    char text[16];
    enter_layers();
    CHECK_OK(write_file("low1/f", "text"));
    CHECK_OK(symlink("f", "low1/s"));
    show();
    CHECK_STR(read_file("m/s"), "text");
    CHECK_EQ(readlink("m/s", text, sizeof text), 1);
    CHECK_OK(link("m/f", "m/hard"));
    CHECK_OK(write_file("m/hard", "both"));
    CHECK_STR(read_file("m/f"), "both");
    CHECK_OK(symlink("hard", "m/t"));
    CHECK_OK(mkfifo("m/p", 0600));
    CHECK_OK(stat("m/p", &st));
    CHECK(S_ISFIFO(st.st_mode));
    CHECK_EQ(count("m"), 5);
}

TEST(open_files_and_mappings_see_the_file_they_opened)
{
    char text[8] = "";
    enter_layers();
    CHECK_OK(write_file("low1/f", "before"));
    show();
    int fd = open("m/f", O_RDWR);
    char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(at != MAP_FAILED);
    at[0] = 'B';
    CHECK_EQ(pread(fd, text, 6, 0), 6);
    CHECK_STR(text, "Before");
    CHECK_STR(read_file("low1/f"), "before");
    CHECK_OK(unlink("m/f"));
    CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
    CHECK_EQ(at[0], 'x');
}

TEST(programs_run_from_a_lower_layer)
{
    int status;
    char *argv[] = {"true", NULL};
    enter_layers();
    CHECK_OK(system("cp /bin/busybox low1/true"));
    show();
    IN_CHILD(status, execv("m/true", argv));
    CHECK_EQ(status, 0);
}

TEST(without_an_upper_directory_it_is_read_only)
{
    enter_layers();
    CHECK_OK(write_file("low1/f", "x"));
    if (mount("overlay", "m", "overlay", 0, "lowerdir=low1:low2") < 0)
        SKIP("no overlay");
    CHECK_STR(read_file("m/f"), "x");
    CHECK_ERR(open("m/f", O_WRONLY), EROFS);
    CHECK_ERR(unlink("m/f"), EROFS);
    CHECK_ERR(mkdir("m/d", 0755), EROFS);
}

TEST(bad_layers_are_refused)
{
    enter_layers();
    show();
    CHECK_OK(umount("m"));
    CHECK_ERR(mount("overlay", "m", "overlay", 0, "lowerdir=missing,upperdir=up,workdir=work"),
              ENOENT);
    CHECK_ERR(mount("overlay", "m", "overlay", 0, "upperdir=up,workdir=work"), EINVAL);
    CHECK_ERR(mount("overlay", "m", "overlay", 0, "lowerdir=low1,upperdir=up"), EINVAL);
}

TEST(directory_listing_holds_while_names_go)
{
    char name[300];
    enter_layers();
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "%s/%d", i % 2 ? "low1" : "up", i);
        CHECK_OK(write_file(name, ""));
    }
    show();
    CHECK_EQ(count("m"), 100);
    DIR *dir = opendir("m");
    int removed = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof name, "m/%s", entry->d_name);
            CHECK_OK(unlink(name));
            removed++;
        }
    CHECK_EQ(removed, 100);
    CHECK_EQ(count("m"), 0);
}
