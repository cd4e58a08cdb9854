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
static struct console_keys keys;

struct console_keys console_save(void)
{
    return keys;
}

void console_load(const struct console_keys *from)
{
    keys = *from;
}

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
    return !ended && keys.count < sizeof(keys.key);
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
            keys.key[keys.count++] = data[i];
        escaped = false;
    }
    return quit;
}

bool console_pump(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    uint8_t data[sizeof(keys.key)];

    if (!listening() || poll(&p, 1, 0) <= 0)
        return false;
    ssize_t n = read(STDIN_FILENO, data, sizeof(keys.key) - keys.count);
    if (n == 0)
        ended = true;
    return n > 0 && take_keys(data, (size_t)n);
}

bool console_ready(void)
{
    return keys.count;
}

size_t console_take(uint8_t *buffer, size_t room)
{
    size_t n = room < keys.count ? room : keys.count;

    memcpy(buffer, keys.key, n);
    memmove(keys.key, keys.key + n, keys.count - n);
    keys.count -= (uint32_t)n;
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
