/* Descriptors: duplicating, flags, locks, passing through fork. */
#include "tests/guest/test.h"
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

TEST(lowest_free_number_is_taken)
{
    int a = open("/dev/null", O_RDONLY), b = open("/dev/null", O_RDONLY);
    CHECK_EQ(b, a + 1);
    close(a);
    CHECK_EQ(dup(b), a);
    CHECK_EQ(fcntl(b, F_DUPFD, 50), 50);
    CHECK_EQ(fcntl(b, F_DUPFD, 50), 51);
    CHECK_EQ(fcntl(b, F_DUPFD_CLOEXEC, 60), 60);
    CHECK_EQ(fcntl(60, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(fcntl(b, F_DUPFD, 1 << 30), EINVAL);
}

TEST(dup2_and_dup3_replace)
{
    char byte;
    int fds[2], other[2];
    CHECK_OK(pipe(fds));
    CHECK_OK(pipe(other));
    CHECK_EQ(dup2(other[1], fds[1]), fds[1]); /* the writer of fds is gone */
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    CHECK_EQ(dup2(fds[0], fds[0]), fds[0]);
    CHECK_ERR(dup3(fds[0], fds[0], 0), EINVAL);
    CHECK_EQ(dup3(fds[0], 77, O_CLOEXEC), 77);
    CHECK_EQ(fcntl(77, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(dup2(77, 78), 78);
    CHECK_EQ(fcntl(78, F_GETFD), 0);
    CHECK_ERR(dup2(500, 501), EBADF);
    CHECK_ERR(dup2(0, -1), EBADF);
    CHECK_ERR(dup2(0, 1 << 30), EBADF);
    CHECK_ERR(dup3(0, 79, 0x7777), EINVAL);
}

TEST(duplicates_share_the_offset_and_reopening_does_not)
{
    enter_scratch();
    CHECK_OK(write_file("f", "0123456789"));
    int a = open("f", O_RDONLY), b = dup(a), c = open("f", O_RDONLY);
    CHECK_EQ(lseek(a, 5, SEEK_SET), 5);
    CHECK_EQ(lseek(b, 0, SEEK_CUR), 5);
    CHECK_EQ(lseek(c, 0, SEEK_CUR), 0);
    CHILD_PASSES(CHECK_EQ(lseek(a, 8, SEEK_SET), 8));
    CHECK_EQ(lseek(b, 0, SEEK_CUR), 8);
}

TEST(status_flags_can_be_read_and_some_set)
{
    char byte;
    int fds[2];
    enter_scratch();
    int fd = open("f", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK),
             O_RDWR | O_APPEND);
    CHECK_OK(fcntl(fd, F_SETFL, O_WRONLY)); /* the access mode stays */
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR);
    CHECK_OK(pipe2(fds, O_NONBLOCK | O_CLOEXEC));
    CHECK_EQ(fcntl(fds[0], F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
    CHECK_EQ(fcntl(fds[1], F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY | O_NONBLOCK);
    CHECK_ERR(read(fds[0], &byte, 1), EAGAIN);
    CHECK_OK(fcntl(fds[0], F_SETFL, 0));
    int on = 1;
    CHECK_OK(ioctl(fds[0], FIONBIO, &on));
    CHECK_ERR(read(fds[0], &byte, 1), EAGAIN);
    CHECK_ERR(fcntl(fd, 9999), EINVAL);
    CHECK_ERR(fcntl(9999, F_GETFL), EBADF);
    CHECK_ERR(ioctl(fd, TIOCGWINSZ, &on), ENOTTY);
}

TEST(flock_excludes_other_openings_not_duplicates)
{
    enter_scratch();
    CHECK_OK(write_file("f", ""));
    int a = open("f", O_RDWR), b = open("f", O_RDWR), status;
    CHECK_OK(flock(a, LOCK_EX | LOCK_NB));
    CHECK_ERR(flock(b, LOCK_EX | LOCK_NB), EAGAIN);
    CHECK_ERR(flock(b, LOCK_SH | LOCK_NB), EAGAIN);
    CHECK_OK(flock(dup(a), LOCK_EX | LOCK_NB));
    IN_CHILD(status, CHECK_OK(flock(a, LOCK_SH | LOCK_NB)));
    CHECK_EQ(status, 0);
    CHECK_OK(flock(b, LOCK_SH | LOCK_NB));
    CHECK_OK(flock(a, LOCK_UN));
    CHECK_OK(flock(b, LOCK_EX | LOCK_NB));
    pid_t pid = fork();
    if (pid == 0) {
        int c = open("f", O_RDWR);
        _exit(flock(c, LOCK_EX)); /* waits */
    }
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    sleep_ms(30);
    CHECK_OK(flock(b, LOCK_UN));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_ERR(flock(a, 77), EINVAL);
}

TEST(record_locks_belong_to_the_process)
{
    enter_scratch();
    CHECK_OK(write_file("f", "0123456789"));
    int fd = open("f", O_RDWR), status;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 4};
    CHECK_OK(fcntl(fd, F_SETLK, &lock));
    CHECK_OK(fcntl(fd, F_SETLK, &lock));
    pid_t owner = getpid();
    IN_CHILD(status, struct flock mine = lock; CHECK_ERR(fcntl(fd, F_SETLK, &mine), EAGAIN);
             CHECK_OK(fcntl(fd, F_GETLK, &mine)); CHECK_EQ(mine.l_pid, owner);
             CHECK_EQ(mine.l_start, 2); mine = lock; mine.l_start = 6;
             CHECK_OK(fcntl(fd, F_SETLK, &mine)));
    CHECK_EQ(status, 0);
    lock.l_type = F_UNLCK;
    CHECK_OK(fcntl(fd, F_SETLK, &lock));
}

TEST(closing_in_the_child_leaves_the_parents_descriptor)
{
    char byte = 0;
    int fds[2], status;
    CHECK_OK(pipe(fds));
    IN_CHILD(status, CHECK_EQ(write(fds[1], "c", 1), 1); close(fds[0]); close(fds[1]));
    CHECK_EQ(status, 0);
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_EQ(byte, 'c');
}

TEST(many_descriptors_can_be_open)
{
    struct rlimit limit;
    int last = 0;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    int want = limit.rlim_cur < 1000 ? (int)limit.rlim_cur - 10 : 1000;
    for (int i = 0; i < want; i++) {
        last = open("/dev/null", O_RDONLY);
        CHECK(last >= 0);
    }
    CHECK(last >= want);
    CHECK_OK(close(last));
    CHECK_ERR(close(last), EBADF);
}

TEST(close_range_closes_a_range)
{
    CHECK_EQ(dup2(0, 90), 90);
    CHECK_EQ(dup2(0, 91), 91);
    CHECK_EQ(dup2(0, 95), 95);
    if (syscall(SYS_close_range, 90, 94, 0) < 0 && errno == ENOSYS)
        SKIP("no close_range");
    CHECK_ERR(fcntl(91, F_GETFD), EBADF);
    CHECK_EQ(fcntl(95, F_GETFD), 0);
}
