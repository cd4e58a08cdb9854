/* Regular files: opening, reading, writing, their size, times, rights and names. */
#include "tests/guest/test.h"
#include <limits.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static int make(const char *name, const char *text)
{
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static struct stat stat_of(const char *path)
{
    struct stat st;
    CHECK_OK(lstat(path, &st));
    return st;
}

TEST(open_creates_truncates_and_appends_as_told)
{
    enter_scratch();
    CHECK_ERR(open("f", O_RDWR), ENOENT);
    int fd = make("f", "hello");
    CHECK_ERR(open("f", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    close(fd);
    fd = open("f", O_WRONLY | O_APPEND);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(write(fd, " there", 6), 6);
    CHECK_STR(read_file("f"), "hello there");
    close(fd);
    fd = open("f", O_WRONLY | O_TRUNC);
    CHECK_EQ(stat_of("f").st_size, 0);
    CHECK_ERR(open("f/below", O_RDONLY), ENOTDIR);
    CHECK_ERR(open(".", O_WRONLY), EISDIR);
    CHECK_ERR(open("new/", O_WRONLY | O_CREAT, 0600), EISDIR);
    CHECK_ERR(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("", O_RDONLY), ENOENT);
}

TEST(umask_takes_bits_from_new_files)
{
    enter_scratch();
    mode_t old = umask(027);
    CHECK_EQ(umask(027), 027);
    close(open("f", O_WRONLY | O_CREAT, 0666));
    CHECK_EQ(stat_of("f").st_mode, S_IFREG | 0640);
    CHECK_OK(mkdir("d", 0777));
    CHECK_EQ(stat_of("d").st_mode, S_IFDIR | 0750);
    umask(old);
}

TEST(read_and_write_obey_the_access_mode)
{
    char byte;
    enter_scratch();
    close(make("f", "abc"));
    int in = open("f", O_RDONLY), out = open("f", O_WRONLY), dir = open(".", O_RDONLY);
    CHECK_ERR(write(in, "x", 1), EBADF);
    CHECK_ERR(read(out, &byte, 1), EBADF);
    CHECK_ERR(read(dir, &byte, 1), EISDIR);
    CHECK_ERR(read(-1, &byte, 1), EBADF);
    CHECK_ERR(write(9999, "x", 1), EBADF);
    CHECK_ERR(close(9999), EBADF);
    CHECK_EQ(read(in, &byte, 0), 0);
    CHECK_ERR(ftruncate(in, 0), EINVAL);
}

TEST(lseek_moves_and_refuses)
{
    enter_scratch();
    int fd = make("f", "0123456789"), fds[2];
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
    CHECK_EQ(lseek(fd, -3, SEEK_END), 7);
    CHECK_EQ(lseek(fd, 2, SEEK_CUR), 9);
    CHECK_EQ(lseek(fd, 100, SEEK_SET), 100);
    CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERR(lseek(fd, 0, 77), EINVAL);
    CHECK_OK(pipe(fds));
    CHECK_ERR(lseek(fds[0], 0, SEEK_CUR), ESPIPE);
    CHECK_ERR(pread(fds[0], fds, 1, 0), ESPIPE);
}

TEST(writing_past_the_end_leaves_a_hole_of_zeroes)
{
    char text[20];
    enter_scratch();
    int fd = make("f", "ab");
    CHECK_EQ(pwrite(fd, "end", 3, 100000), 3);
    CHECK_EQ(stat_of("f").st_size, 100003);
    CHECK(stat_of("f").st_blocks * 512 < 100003);
    CHECK_EQ(pread(fd, text, 10, 2), 10);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(text[i], 0);
    CHECK_EQ(pread(fd, text, 20, 99998), 5);
    CHECK_EQ(memcmp(text, "\0\0end", 5), 0);
    CHECK_EQ(pread(fd, text, 20, 200000), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 2);
}

TEST(truncation_shrinks_and_grows)
{
    char text[10];
    enter_scratch();
    int fd = make("f", "0123456789");
    CHECK_OK(ftruncate(fd, 4));
    CHECK_STR(read_file("f"), "0123");
    CHECK_OK(truncate("f", 8));
    CHECK_EQ(pread(fd, text, 10, 0), 8);
    CHECK_EQ(memcmp(text, "0123\0\0\0\0", 8), 0);
    CHECK_ERR(ftruncate(fd, -1), EINVAL);
    CHECK_ERR(truncate(".", 1), EISDIR);
    CHECK_OK(fallocate(fd, 0, 0, 5000));
    CHECK_EQ(stat_of("f").st_size, 5000);
}

TEST(stat_tells_what_a_file_is)
{
    struct stat st;
    enter_scratch();
    int fd = make("f", "12345");
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 5);
    CHECK_EQ(st.st_nlink, 1);
    CHECK_EQ(st.st_uid, geteuid());
    CHECK_EQ(st.st_gid, getegid());
    CHECK_EQ(st.st_mode, S_IFREG | 0644);
    CHECK(st.st_blksize >= 512);
    CHECK(st.st_ino != 0);
    CHECK(llabs((long long)st.st_mtime - time(NULL)) < 100);
    CHECK_EQ(stat_of("f").st_ino, st.st_ino);
    CHECK_EQ(stat_of(".").st_dev, st.st_dev);
    CHECK_OK(fstatat(fd, "", &st, AT_EMPTY_PATH));
    CHECK_EQ(st.st_size, 5);
    CHECK_OK(stat("/dev/null", &st));
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(major(st.st_rdev), 1);
    CHECK_EQ(minor(st.st_rdev), 3);
}

TEST(links_count_and_the_last_close_frees)
{
    char text[8] = "";
    enter_scratch();
    int fd = make("a", "data");
    CHECK_OK(link("a", "b"));
    CHECK_EQ(stat_of("b").st_nlink, 2);
    CHECK_EQ(stat_of("a").st_ino, stat_of("b").st_ino);
    CHECK_ERR(link("a", "b"), EEXIST);
    CHECK_ERR(link("missing", "c"), ENOENT);
    CHECK_ERR(link(".", "c"), EPERM);
    CHECK_OK(unlink("a"));
    CHECK_EQ(stat_of("b").st_nlink, 1);
    CHECK_OK(unlink("b"));
    CHECK_ERR(unlink("b"), ENOENT);
    CHECK_EQ(pread(fd, text, 8, 0), 4); /* still there for who has it open */
    struct stat st;
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_nlink, 0);
}

TEST(chmod_and_chown_change_the_inode)
{
    enter_scratch();
    int fd = make("f", "");
    CHECK_OK(chmod("f", 04751));
    CHECK_EQ(stat_of("f").st_mode, S_IFREG | 04751);
    CHECK_OK(fchmod(fd, 0600));
    CHECK_EQ(stat_of("f").st_mode, S_IFREG | 0600);
    CHECK_OK(fchmodat(AT_FDCWD, "f", 0640, 0));
    if (geteuid() != 0)
        SKIP("not root");
    CHECK_OK(chown("f", 12, 34));
    CHECK_OK(fchown(fd, (uid_t)-1, 35));
    CHECK_EQ(stat_of("f").st_uid, 12);
    CHECK_EQ(stat_of("f").st_gid, 35);
    CHECK_OK(symlink("f", "s"));
    CHECK_OK(lchown("s", 7, 8));
    CHECK_EQ(stat_of("s").st_uid, 7);
    CHECK_EQ(stat_of("f").st_uid, 12);
    CHECK_OK(fchownat(AT_FDCWD, "s", 9, 9, 0));
    CHECK_EQ(stat_of("f").st_uid, 9);
}

TEST(times_can_be_set_and_change_with_use)
{
    enter_scratch();
    int fd = make("f", "x");
    struct timespec times[2] = {{1000, 5}, {2000, 7}};
    CHECK_OK(utimensat(AT_FDCWD, "f", times, 0));
    CHECK_EQ(stat_of("f").st_atim.tv_sec, 1000);
    CHECK_EQ(stat_of("f").st_mtim.tv_sec, 2000);
    CHECK_EQ(stat_of("f").st_mtim.tv_nsec, 7);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = UTIME_NOW;
    CHECK_OK(futimens(fd, times));
    CHECK_EQ(stat_of("f").st_atim.tv_sec, 1000);
    CHECK(llabs((long long)stat_of("f").st_mtime - time(NULL)) < 100);
    times[1].tv_nsec = 1000000000;
    CHECK_ERR(futimens(fd, times), EINVAL);
    times[0] = times[1] = (struct timespec){3000, 0};
    CHECK_OK(futimens(fd, times));
    CHECK_EQ(write(fd, "y", 1), 1);
    CHECK(stat_of("f").st_mtime != 3000);
}

TEST(readv_and_writev_move_parts_in_order)
{
    char a[4] = "", b[8] = "";
    enter_scratch();
    struct iovec out[3] = {{"one", 3}, {"", 0}, {"twothree", 8}};
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    CHECK_EQ(writev(fd, out, 3), 11);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    struct iovec in[2] = {{a, 3}, {b, 7}};
    CHECK_EQ(readv(fd, in, 2), 10);
    CHECK_STR(a, "one");
    CHECK_STR(b, "twothre");
}

TEST(sendfile_copies_between_descriptors)
{
    enter_scratch();
    int in = make("in", "the source text"), out = make("out", ">");
    off_t at = 4;
    CHECK_EQ(sendfile(out, in, &at, 6), 6);
    CHECK_EQ(at, 10);
    CHECK_STR(read_file("out"), ">source");
    CHECK_EQ(lseek(in, 0, SEEK_SET), 0);
    CHECK_EQ(sendfile(out, in, NULL, 1000), 15);
    CHECK_EQ(sendfile(out, in, NULL, 1000), 0);
}

TEST(a_big_file_keeps_every_byte)
{
    static unsigned char block[65536], back[65536];
    enter_scratch();
    int fd = open("big", O_RDWR | O_CREAT, 0600);
    for (int round = 0; round < 128; round++) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (unsigned char)(i * 7 + (size_t)round * 13);
        CHECK_EQ(write(fd, block, sizeof block), sizeof block);
    }
    for (int round = 127; round >= 0; round--) {
        CHECK_EQ(pread(fd, back, sizeof back, round * 65536L), sizeof back);
        for (size_t i = 0; i < sizeof back; i++)
            if (back[i] != (unsigned char)(i * 7 + (size_t)round * 13))
                FAIL("byte %zu of block %d", i, round);
    }
}

TEST(offsets_that_overflow_are_refused)
{
    enter_scratch();
    int fd = make("f", "");
    CHECK_ERR(pwrite(fd, "x", 1, -1), EINVAL);
    CHECK_ERR(pread(fd, scratch, 1, -1), EINVAL);
    CHECK(pwrite(fd, "x", 1, LLONG_MAX) < 0 && (errno == EINVAL || errno == EFBIG));
    CHECK_ERR(lseek(fd, LLONG_MIN, SEEK_SET), EINVAL);
}

TEST(statfs_tells_the_file_system)
{
    struct statfs fs;
    CHECK_OK(statfs("/proc", &fs));
    CHECK_EQ(fs.f_type, 0x9fa0);
    enter_scratch();
    CHECK_OK(statfs(".", &fs));
    CHECK(fs.f_bsize >= 512 && fs.f_namelen == 255);
    CHECK_ERR(statfs("missing", &fs), ENOENT);
    CHECK_ERR(fstatfs(-1, &fs), EBADF);
}

TEST(a_file_without_attributes_has_an_empty_list)
{
    char list[100];
    enter_scratch();
    int fd = make("f", "");
    CHECK(syscall(SYS_listxattr, "f", list, sizeof list) >= 0); /* a security module may add one */
    CHECK(syscall(SYS_flistxattr, fd, list, sizeof list) >= 0);
    CHECK(syscall(SYS_getxattr, "f", "user.x", list, sizeof list) < 0 &&
          (errno == ENODATA || errno == EOPNOTSUPP));
    CHECK_ERR(syscall(SYS_getxattr, "missing", "user.x", list, sizeof list), ENOENT);
    CHECK_ERR(syscall(SYS_listxattr, "missing", list, sizeof list), ENOENT);
    CHECK_ERR(syscall(SYS_flistxattr, -1, list, sizeof list), EBADF);
    CHECK_ERR(syscall(SYS_getxattr, "f", 8, list, sizeof list), EFAULT);
}

TEST(sync_calls_succeed)
{
    enter_scratch();
    int fd = make("f", "x");
    CHECK_OK(fsync(fd));
    CHECK_OK(fdatasync(fd));
    CHECK_ERR(fsync(-1), EBADF);
}

TEST(devices_behave)
{
    char text[64];
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR),
        full = open("/dev/full", O_RDWR);
    CHECK_EQ(read(null, text, 10), 0);
    CHECK_EQ(write(null, text, 10), 10);
    memset(text, 1, sizeof text);
    CHECK_EQ(read(zero, text, sizeof text), sizeof text);
    for (size_t i = 0; i < sizeof text; i++)
        CHECK_EQ(text[i], 0);
    CHECK_ERR(write(full, text, 1), ENOSPC);
    int random = open("/dev/urandom", O_RDONLY);
    CHECK_EQ(read(random, text, sizeof text), sizeof text);
    char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    CHECK(at != MAP_FAILED && at[100] == 0);
    unsigned char a[16], b[16];
    CHECK_EQ(syscall(SYS_getrandom, a, 16, 0), 16);
    CHECK_EQ(syscall(SYS_getrandom, b, 16, 0), 16);
    CHECK(memcmp(a, b, 16) != 0);
}
