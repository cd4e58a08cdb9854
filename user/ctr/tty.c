#include "user/ctr/tty.h"
#include "user/ctr/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

int tty_open(struct tty *tty)
{
    int unlock = 0, number;
    tty->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty->master < 0 || ioctl(tty->master, TIOCSPTLCK, &unlock) ||
        ioctl(tty->master, TIOCGPTN, &number))
        return fail_errno("a terminal: /dev/ptmx");
    tty->name = format_text("/dev/pts/%d", number);
    tty->slave = open(tty->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return tty->slave < 0 ? fail_errno("a terminal: %s", tty->name) : 0;
}

int tty_adopt(int slave)
{
    if (ioctl(slave, TIOCSCTTY, 0))
        return fail_errno("process.terminal");
    for (int fd = 0; fd < 3; fd++)
        if (dup2(slave, fd) < 0)
            return fail_errno("process.terminal");
    close(slave);
    return 0;
}

static volatile sig_atomic_t resized = 1;

static void on_resize(int signal_number)
{
    (void)signal_number;
    resized = 1;
}

// One step from one side to the other; false at its end.
static bool carry(int from, int to)
{
    char chunk[1024];
    ssize_t got = read(from, chunk, sizeof chunk);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    for (ssize_t done = 0; done < got;) {
        ssize_t written = write(to, chunk + done, (size_t)(got - done));
        if (written < 0 && errno != EINTR)
            return false;
        done += written > 0 ? written : 0;
    }
    return got > 0;
}

void tty_relay(int master)
{
    struct termios saved, raw;
    struct winsize size;
    bool is_tty = tcgetattr(0, &saved) == 0;
    if (is_tty) {
        raw = saved;
        cfmakeraw(&raw);
        tcsetattr(0, TCSANOW, &raw);
        signal(SIGWINCH, on_resize);
    }
    struct pollfd fds[2] = {{master, POLLIN, 0}, {0, POLLIN, 0}};
    for (;;) {
        if (resized && is_tty && ioctl(0, TIOCGWINSZ, &size) == 0)
            ioctl(master, TIOCSWINSZ, &size);
        resized = 0;
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents && !carry(master, 1))
            break;
        if (fds[1].revents && !carry(0, master)) {
            fds[1].fd = -1;
            (void)!write(master, "\4", 1); // the end of input, as a terminal says it
        }
    }
    if (is_tty)
        tcsetattr(0, TCSANOW, &saved);
}
