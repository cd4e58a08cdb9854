/* The terminal under the guest's serial line. */
#include "user/vmm/console.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { ESCAPE = 'A' - '@' };

static struct termios saved;
static bool raw, ended, escaped;
static uint8_t queue[256];
static size_t queued;

void console_start(void)
{
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved) < 0)
        return;
    struct termios t = saved;
    t.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INLCR | IGNCR | ISTRIP | IXON);
    t.c_oflag &= ~(tcflag_t)OPOST;
    t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

void console_restore(void)
{
    if (raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    raw = false;
}

bool console_is_raw(void)
{
    return raw;
}

static bool listening(void)
{
    return !ended && queued < sizeof(queue);
}

static int milliseconds(int64_t ns)
{
    return ns < 0 ? -1 : (int)((ns + 999999) / 1000000);
}

void console_wait(int wake_fd, int64_t wait_ns)
{
    struct pollfd p[] = {{.fd = wake_fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    uint64_t count;

    if (poll(p, listening() ? 2 : 1, milliseconds(wait_ns)) > 0 && p[0].revents) {
        ssize_t ignored = read(wake_fd, &count, sizeof(count));
        (void)ignored;
    }
}

/* Queues what was typed, less the monitor's own keys. */
static bool take_keys(const uint8_t *data, size_t n)
{
    bool quit = false;

    for (size_t i = 0; i < n; i++) {
        if (raw && !escaped && data[i] == ESCAPE) {
            escaped = true;
            continue;
        }
        quit |= escaped && data[i] == 'x';
        if (!escaped || data[i] == ESCAPE)
            queue[queued++] = data[i];
        escaped = false;
    }
    return quit;
}

bool console_pump(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    uint8_t data[sizeof(queue)];

    if (!listening() || poll(&p, 1, 0) <= 0)
        return false;
    ssize_t n = read(STDIN_FILENO, data, sizeof(queue) - queued);
    if (n == 0)
        ended = true;
    return n > 0 && take_keys(data, (size_t)n);
}

bool console_ready(void)
{
    return queued;
}

size_t console_take(uint8_t *buffer, size_t room)
{
    size_t n = room < queued ? room : queued;

    memcpy(buffer, queue, n);
    memmove(queue, queue + n, queued - n);
    queued -= n;
    return n;
}

void console_write(int fd, const uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
}
