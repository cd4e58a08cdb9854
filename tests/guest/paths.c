/* Names: directories, symbolic links, renaming, special files, and how a path is walked. */
#include "tests/guest/test.h"
#include <dirent.h>
#include <limits.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

static void touch(const char *path)
{
    CHECK_OK(write_file(path, path));
}

static int exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static int entries(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

TEST(mkdir_and_rmdir_make_and_remove)
{
    struct stat st;
    enter_scratch();
    CHECK_OK(mkdir("d", 0755));
    CHECK_ERR(mkdir("d", 0755), EEXIST);
    CHECK_ERR(mkdir("no/d", 0755), ENOENT);
    CHECK_OK(mkdir("d/e/", 0755));
    CHECK_OK(stat("d", &st));
    CHECK_EQ(st.st_nlink >= 1, 1);
    CHECK_ERR(rmdir("d"), ENOTEMPTY);
    CHECK_ERR(rmdir("d/."), EINVAL);
    CHECK_ERR(unlink("d/e"), EISDIR);
    CHECK_OK(rmdir("d/e"));
    CHECK_OK(rmdir("d"));
    CHECK_ERR(rmdir("d"), ENOENT);
    touch("f");
    CHECK_ERR(rmdir("f"), ENOTDIR);
    CHECK_ERR(mkdir("f/x", 0755), ENOTDIR);
    CHECK_ERR(rmdir("/"), EBUSY);
}

TEST(readdir_lists_every_entry_once)
{
    char name[32];
    static char seen[600];
    enter_scratch();
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "entry-with-a-name-%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    DIR *dir = opendir(".");
    struct dirent *entry;
    int dots = 0;
    while ((entry = readdir(dir))) {
        int i;
        if (entry->d_name[0] == '.') {
            dots++;
            continue;
        }
        CHECK_EQ(sscanf(entry->d_name, "entry-with-a-name-%d", &i), 1);
        CHECK_EQ(seen[i]++, 0);
        CHECK(entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN);
        CHECK(entry->d_ino != 0);
    }
    CHECK_EQ(dots, 2);
    for (int i = 0; i < 600; i++)
        CHECK_EQ(seen[i], 1);
    rewinddir(dir);
    CHECK(readdir(dir) != NULL);
    char small[10];
    CHECK_ERR(getdents64(dirfd(dir), small, sizeof small), EINVAL);
    CHECK_ERR(getdents64(open("entry-with-a-name-1", O_RDONLY), small, sizeof small), ENOTDIR);
}

TEST(removing_while_listing_loses_nothing_else)
{
    char name[16];
    enter_scratch();
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "%d", i);
        touch(name);
    }
    DIR *dir = opendir(".");
    struct dirent *entry;
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            CHECK_OK(unlink(entry->d_name));
    CHECK_EQ(entries("."), 2);
}

TEST(symbolic_links_are_followed_except_at_the_end_when_told)
{
    char text[100];
    struct stat st;
    enter_scratch();
    CHECK_OK(mkdir("d", 0755));
    touch("d/f");
    CHECK_OK(symlink("d", "s"));
    CHECK_OK(symlink("../d/f", "d/t"));
    CHECK_EQ(readlink("s", text, sizeof text), 1);
    CHECK_EQ(readlink("d/t", text, 4), 4);
    CHECK_EQ(memcmp(text, "../d", 4), 0);
    CHECK_STR(read_file("s/t"), "d/f");
    CHECK_OK(lstat("s", &st));
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(st.st_size, 1);
    CHECK_OK(lstat("s/", &st));
    CHECK(S_ISDIR(st.st_mode));
    CHECK_ERR(open("d/t", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERR(readlink("d/f", text, 10), EINVAL);
    CHECK_ERR(symlink("x", "s"), EEXIST);
    CHECK_ERR(symlink("", "empty"), ENOENT);
    CHECK_OK(symlink("nowhere", "dangling"));
    CHECK_ERR(open("dangling", O_RDONLY), ENOENT);
    CHECK_ERR(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    int fd = open("dangling", O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0 && exists("nowhere"));
    CHECK_ERR(rmdir("s"), ENOTDIR);
    CHECK_OK(unlink("s"));
    CHECK(exists("d/f"));
}

TEST(link_loops_end_in_eloop)
{
    char name[8], target[8];
    enter_scratch();
    CHECK_OK(symlink("b", "a"));
    CHECK_OK(symlink("a", "b"));
    CHECK_ERR(open("a", O_RDONLY), ELOOP);
    CHECK_ERR(open("a/x", O_RDONLY), ELOOP);
    touch("l0");
    for (int i = 1; i <= 41; i++) {
        snprintf(name, sizeof name, "l%d", i);
        snprintf(target, sizeof target, "l%d", i - 1);
        CHECK_OK(symlink(target, name));
    }
    CHECK(open("l40", O_RDONLY) >= 0);
    CHECK_ERR(open("l41", O_RDONLY), ELOOP);
}

TEST(rename_replaces_moves_and_refuses)
{
    struct stat st;
    enter_scratch();
    touch("a");
    touch("b");
    CHECK_OK(rename("a", "b"));
    CHECK_STR(read_file("b"), "a");
    CHECK(!exists("a"));
    CHECK_ERR(rename("a", "c"), ENOENT);
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(mkdir("d/e", 0755));
    touch("d/e/f");
    CHECK_ERR(rename("d", "d/e/x"), EINVAL);
    CHECK_ERR(rename("b", "d"), EISDIR);
    CHECK_ERR(rename("d", "b"), ENOTDIR);
    CHECK_OK(mkdir("full", 0755));
    touch("full/x");
    CHECK_ERR(rename("d", "full"), ENOTEMPTY);
    CHECK_OK(mkdir("empty", 0755));
    CHECK_OK(rename("d", "empty"));
    CHECK_STR(read_file("empty/e/f"), "d/e/f");
    CHECK_OK(rename("empty/e", "e"));
    CHECK_OK(stat("e/..", &st));
    ino_t up = st.st_ino;
    CHECK_OK(stat(".", &st));
    CHECK_EQ(st.st_ino, up);
    CHECK_OK(link("b", "b2"));
    CHECK_OK(rename("b", "b2")); /* the same file: nothing happens */
    CHECK(exists("b"));
    CHECK_ERR(rename("/proc/self", "x"), EXDEV);
    CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "e", 1), EEXIST);
}

TEST(at_calls_start_from_their_directory)
{
    char text[10];
    struct stat st;
    enter_scratch();
    CHECK_OK(mkdir("d", 0755));
    int dir = open("d", O_RDONLY | O_DIRECTORY);
    CHECK_OK(mkdirat(dir, "e", 0700));
    int fd = openat(dir, "f", O_CREAT | O_RDWR, 0600);
    CHECK(fd >= 0 && exists("d/f"));
    CHECK_OK(fstatat(dir, "f", &st, 0));
    CHECK_OK(symlinkat("f", dir, "s"));
    CHECK_EQ(readlinkat(dir, "s", text, sizeof text), 1);
    CHECK_OK(fstatat(dir, "s", &st, AT_SYMLINK_NOFOLLOW));
    CHECK(S_ISLNK(st.st_mode));
    CHECK_OK(linkat(dir, "f", AT_FDCWD, "hard", 0));
    CHECK_OK(renameat(dir, "f", AT_FDCWD, "moved"));
    CHECK(exists("moved") && !exists("d/f"));
    CHECK_OK(faccessat(AT_FDCWD, "hard", R_OK, 0));
    CHECK_ERR(unlinkat(dir, "e", 0), EISDIR);
    CHECK_OK(unlinkat(dir, "e", AT_REMOVEDIR));
    CHECK_OK(mknodat(dir, "p", S_IFIFO | 0600, 0));
    CHECK_ERR(openat(fd, "x", O_RDONLY), ENOTDIR);
    CHECK_ERR(openat(-5, "x", O_RDONLY), EBADF);
    CHECK(openat(-5, "/", O_RDONLY) >= 0);
}

TEST(working_directory_follows_chdir_fchdir_and_rename)
{
    char before[PATH_MAX], path[PATH_MAX], want[PATH_MAX + 8];
    enter_scratch();
    CHECK(getcwd(before, sizeof before) != NULL);
    CHECK_STR(before, scratch);
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(chdir("d"));
    snprintf(want, sizeof want, "%s/d", before);
    CHECK_STR(getcwd(path, sizeof path), want);
    CHECK_OK(rename("../d", "../e"));
    snprintf(want, sizeof want, "%s/e", before);
    CHECK_STR(getcwd(path, sizeof path), want);
    CHECK_ERR((long)getcwd(path, 2) ? 0 : -1, ERANGE);
    int up = open("..", O_RDONLY);
    CHECK_OK(fchdir(up));
    CHECK_STR(getcwd(path, sizeof path), before);
    CHECK_ERR(chdir("missing"), ENOENT);
    touch("f");
    CHECK_ERR(chdir("f"), ENOTDIR);
    CHECK_OK(chdir("/"));
    CHECK_STR(getcwd(path, sizeof path), "/");
    CHECK_OK(chdir("../../.."));
    CHECK_STR(getcwd(path, sizeof path), "/");
}

TEST(removed_working_directory_is_empty_and_nameless)
{
    char path[100];
    enter_scratch();
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(chdir("d"));
    CHECK_OK(rmdir("../d"));
    CHECK_ERR((long)getcwd(path, sizeof path) ? 0 : -1, ENOENT);
    CHECK_ERR(open("f", O_CREAT | O_WRONLY, 0600), ENOENT);
    CHECK_ERR(mkdir("x", 0700), ENOENT);
}

TEST(names_and_paths_that_are_too_long_are_refused)
{
    static char name[PATH_MAX + 10];
    enter_scratch();
    memset(name, 'n', 255);
    CHECK(open(name, O_CREAT | O_WRONLY, 0600) >= 0);
    name[255] = 'n';
    CHECK_ERR(open(name, O_CREAT | O_WRONLY, 0600), ENAMETOOLONG);
    CHECK_ERR(mkdir(name, 0600), ENAMETOOLONG);
    memset(name, '/', PATH_MAX);
    CHECK_ERR(open(name, O_RDONLY), ENAMETOOLONG);
    name[PATH_MAX - 1] = 0;
    CHECK(open(name, O_RDONLY) >= 0);
}

TEST(dots_and_slashes_are_as_they_should_be)
{
    enter_scratch();
    CHECK_OK(mkdir("d", 0755));
    touch("d/f");
    CHECK_STR(read_file("d/../d/./f"), "d/f");
    CHECK_STR(read_file(".//d///f"), "d/f");
    CHECK_ERR(open("d/f/", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("d/f/..", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("d/missing/../f", O_RDONLY), ENOENT);
    CHECK_ERR(unlink("d/f/"), ENOTDIR);
    CHECK_ERR(mkdir(".", 0700), EEXIST);
    CHECK_ERR(unlink("."), EISDIR);
}

TEST(special_files_can_be_made)
{
    struct stat st;
    enter_scratch();
    CHECK_OK(mkfifo("p", 0640));
    CHECK_OK(stat("p", &st));
    CHECK_EQ(st.st_mode, S_IFIFO | 0640);
    CHECK_OK(mknod("r", S_IFREG | 0600, 0));
    CHECK_OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
    CHECK_OK(stat("null", &st));
    CHECK_EQ(st.st_rdev, makedev(1, 3));
    CHECK_ERR(mknod("d", S_IFDIR | 0600, 0), EPERM);
    CHECK_ERR(mknod("p", S_IFIFO | 0600, 0), EEXIST);
    int fd = open("null", O_WRONLY);
    if (fd < 0 && errno == EACCES)
        SKIP("devices may not be opened here");
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_OK(mknod("nodev", S_IFCHR | 0666, makedev(240, 99)));
    CHECK_ERR(open("nodev", O_RDONLY), ENXIO);
}

TEST(opath_descriptor_only_names_a_file)
{
    struct stat st;
    char byte;
    enter_scratch();
    touch("f");
    int fd = open("f", O_PATH);
    CHECK(fd >= 0);
    CHECK_OK(fstat(fd, &st));
    CHECK_ERR(read(fd, &byte, 1), EBADF);
    CHECK_ERR(fchmod(fd, 0600), EBADF);
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    CHECK_STR(read_file(link), "f");
}

TEST(chroot_closes_off_the_rest)
{
    struct stat inside, up;
    enter_scratch();
    CHECK_OK(mkdir("d", 0755));
    touch("d/f");
    if (chroot("d") < 0 && errno == EPERM)
        SKIP("not root");
    CHECK_OK(chdir("/"));
    CHECK(exists("/f"));
    CHECK_OK(stat("/", &inside));
    CHECK_OK(stat("/../..", &up));
    CHECK_EQ(inside.st_ino, up.st_ino);
    CHECK_ERR(open("/etc", O_RDONLY), ENOENT);
}
