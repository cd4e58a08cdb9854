/* Calls on files whose library form differs from the kernel's. */
#include "port.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>

void *mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
    return (void *)checked(RAW(__NR_mmap, addr, size, prot, flags, fd, offset));
}

int umount(const char *target)
{
    return umount2(target, 0);
}

int isatty(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0;
}

int mkfifo(const char *path, mode_t mode)
{
    return mknod(path, (mode & ~S_IFMT) | S_IFIFO, 0);
}

int mkfifoat(int dir, const char *path, mode_t mode)
{
    return mknodat(dir, path, (mode & ~S_IFMT) | S_IFIFO, 0);
}

/* The kernel's fchmodat takes no flags. */
int fchmodat(int dir, const char *path, mode_t mode, int flags)
{
    if (flags)
        return (int)viv_fail(flags == AT_SYMLINK_NOFOLLOW ? -EOPNOTSUPP : -EINVAL);
    return (int)checked(RAW(__NR_fchmodat, dir, path, mode, 0, 0, 0));
}

int futimens(int fd, const struct timespec times[2])
{
    return (int)checked(RAW(__NR_utimensat, fd, NULL, times, 0, 0, 0));
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
    return (int)-RAW(__NR_fallocate, fd, 0, offset, len, 0, 0);
}

char *getcwd(char *buffer, size_t size)
{
    char path[PATH_MAX];
    if (!buffer && size == 0)
        size = sizeof path;
    long length =
        checked(RAW(__NR_getcwd, path, size < sizeof path ? size : sizeof path, 0, 0, 0, 0));
    if (length < 0)
        return NULL;
    if (path[0] != '/') { /* outside the root: the kernel says "(unreachable)" */
        errno = ENOENT;
        return NULL;
    }
    if (!buffer && !(buffer = malloc(size)))
        return NULL;
    return memcpy(buffer, path, (size_t)length);
}

char *realpath(const char *path, char *buffer)
{
    char link[32], target[PATH_MAX];
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    strcpy(link, "/proc/self/fd/");
    utoa((unsigned int)fd, link + strlen(link), 10);
    ssize_t length = readlink(link, target, sizeof target - 1);
    close(fd);
    if (length < 0 || (!buffer && !(buffer = malloc((size_t)length + 1))))
        return NULL;
    memcpy(buffer, target, (size_t)length);
    buffer[length] = 0;
    return buffer;
}

int pselect(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
            const sigset_t *mask)
{
    struct timespec left, *wait = NULL;
    if (timeout) {
        left = *timeout; /* the kernel writes to it, POSIX does not */
        wait = &left;
    }
    long set[2] = {(long)mask, sizeof *mask};
    return (int)checked(RAW(__NR_pselect6, count, in, out, except, wait, set));
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    struct timespec left, *wait = NULL;
    if (timeout) {
        left = *timeout;
        wait = &left;
    }
    return (int)checked(RAW(__NR_ppoll, fds, count, wait, mask, sizeof *mask, 0));
}

int epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout_ms,
                const sigset_t *mask)
{
    return (int)checked(
        RAW(__NR_epoll_pwait, epoll, events, count, timeout_ms, mask, sizeof *mask));
}

int eventfd_read(int fd, eventfd_t *value)
{
    return read(fd, value, sizeof *value) == sizeof *value ? 0 : -1;
}

int eventfd_write(int fd, eventfd_t value)
{
    return write(fd, &value, sizeof value) == sizeof value ? 0 : -1;
}

struct viv_dir {
    int fd;
    size_t at, end; /* what of the buffer has not been handed out */
    off_t position; /* d_off of the last entry handed out */
    char buffer[4096] __attribute__((aligned(8)));
};

DIR *fdopendir(int fd)
{
    DIR *dir = calloc(1, sizeof *dir);
    if (dir)
        dir->fd = fd;
    return dir;
}

DIR *opendir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    DIR *dir = fdopendir(fd);
    if (!dir)
        close(fd);
    return dir;
}

struct dirent *readdir(DIR *dir)
{
    if (dir->at == dir->end) {
        ssize_t got = getdents64(dir->fd, dir->buffer, sizeof dir->buffer);
        if (got <= 0)
            return NULL;
        dir->at = 0;
        dir->end = (size_t)got;
    }
    struct dirent *entry = (struct dirent *)(dir->buffer + dir->at);
    dir->at += entry->d_reclen;
    dir->position = entry->d_off;
    return entry;
}

void seekdir(DIR *dir, long at)
{
    dir->position = lseek(dir->fd, at, SEEK_SET);
    dir->at = dir->end = 0;
}

void rewinddir(DIR *dir)
{
    seekdir(dir, 0);
}

long telldir(DIR *dir)
{
    return dir->position;
}

int dirfd(DIR *dir)
{
    return dir->fd;
}

int closedir(DIR *dir)
{
    int fd = dir->fd;
    free(dir);
    return close(fd);
}

int alphasort(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int scandir(const char *path, struct dirent ***list, int (*want)(const struct dirent *),
            int (*order)(const struct dirent **, const struct dirent **))
{
    DIR *dir = opendir(path);
    struct dirent **all = NULL, *entry;
    int count = 0;
    if (!dir)
        return -1;
    while ((entry = readdir(dir))) {
        if (want && !want(entry))
            continue;
        struct dirent **more = realloc(all, (size_t)(count + 1) * sizeof *all);
        struct dirent *copy = malloc(entry->d_reclen);
        if (!more || !copy)
            abort();
        all = more;
        all[count++] = memcpy(copy, entry, entry->d_reclen);
    }
    closedir(dir);
    if (order)
        qsort(all, (size_t)count, sizeof *all, (int (*)(const void *, const void *))order);
    *list = all;
    return count;
}

int tcgetattr(int fd, struct termios *settings)
{
    return ioctl(fd, TCGETS, settings);
}

int tcsetattr(int fd, int when, const struct termios *settings)
{
    return ioctl(fd, (unsigned long)(TCSETS + when), settings);
}

int tcdrain(int fd)
{
    return ioctl(fd, TCSBRK, 1);
}

int tcsendbreak(int fd, int duration)
{
    return ioctl(fd, TCSBRK, 0);
}

int tcflow(int fd, int action)
{
    return ioctl(fd, TCXONC, action);
}

int tcflush(int fd, int queue)
{
    return ioctl(fd, TCFLSH, queue);
}

pid_t tcgetpgrp(int fd)
{
    pid_t group;
    return ioctl(fd, TIOCGPGRP, &group) < 0 ? -1 : group;
}

int tcsetpgrp(int fd, pid_t group)
{
    return ioctl(fd, TIOCSPGRP, &group);
}

pid_t tcgetsid(int fd)
{
    pid_t session;
    return ioctl(fd, TIOCGSID, &session) < 0 ? -1 : session;
}

void cfmakeraw(struct termios *settings)
{
    settings->c_iflag &=
        (tcflag_t) ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    settings->c_oflag &= (tcflag_t)~OPOST;
    settings->c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    settings->c_cflag = (settings->c_cflag & (tcflag_t) ~(CSIZE | PARENB)) | CS8;
    settings->c_cc[VMIN] = 1;
    settings->c_cc[VTIME] = 0;
}

speed_t cfgetospeed(const struct termios *settings)
{
    return settings->c_cflag & CBAUD;
}

speed_t cfgetispeed(const struct termios *settings)
{
    return cfgetospeed(settings);
}

int cfsetospeed(struct termios *settings, speed_t speed)
{
    if (speed & (speed_t)~CBAUD)
        return (int)viv_fail(-EINVAL);
    settings->c_cflag = (settings->c_cflag & (tcflag_t)~CBAUD) | speed;
    return 0;
}

int cfsetispeed(struct termios *settings, speed_t speed)
{
    return speed ? cfsetospeed(settings, speed) : 0;
}

int cfsetspeed(struct termios *settings, speed_t speed)
{
    return cfsetospeed(settings, speed);
}
