/* The control FIFO: the monitor's thread that serves it, and the command that writes to it. */
#include "user/vmm/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/vmm/migrate.h"
#include "user/vmm/say.h"
#include "user/vmm/snapshot.h"

enum { ORDER_MAX = 1024, ANSWER_MAX = 512, LOOK_MS = 200 };

static const char *fifo_path;
static int fifo;
static pthread_mutex_t serving = PTHREAD_MUTEX_INITIALIZER; /* an order is carried out */

/* Saves while the machine stands still; with `stop` it stands for good. */
static int do_save(struct machine *m, const char *dir, bool stop, char *answer)
{
    machine_pause(m);
    if (m->stopped) {
        machine_resume(m);
        snprintf(answer, ANSWER_MAX, "%s: has ended", m->name);
        return STATUS_USAGE;
    }
    bool saved = snapshot_save(m, dir, answer, ANSWER_MAX);
    if (saved && stop)
        machine_stop(m, STATUS_OK);
    machine_resume(m);
    if (saved)
        snprintf(answer, ANSWER_MAX, "%s: saved to %s%s", m->name, dir, stop ? " and stopped" : "");
    return saved ? STATUS_OK : STATUS_USAGE;
}

static int serve(struct machine *m, const char *verb, const char *argument, char *answer)
{
    if (!strcmp(verb, "save"))
        return do_save(m, argument, false, answer);
    if (!strcmp(verb, "save-stop"))
        return do_save(m, argument, true, answer);
    if (!strcmp(verb, "migrate"))
        return migrate_send(m, argument, answer, ANSWER_MAX) ? STATUS_OK : STATUS_USAGE;
    snprintf(answer, ANSWER_MAX, "%s: no such order", verb);
    return STATUS_USAGE;
}

static void answer_to(const char *path, int status, const char *text)
{
    char line[ANSWER_MAX + 16];
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return; /* whoever asked has gone */
    int n = snprintf(line, sizeof(line), "%d %s\n", status, text);
    ssize_t ignored = write(fd, line, (size_t)n);
    (void)ignored;
    close(fd);
}

/* Orders may follow each other without a gap in the FIFO. */
static void *serve_orders(void *arg)
{
    struct machine *m = arg;
    char order[ORDER_MAX + 1], answer[ANSWER_MAX];
    size_t have = 0;

    for (;;) {
        ssize_t n = read(fifo, order + have, ORDER_MAX - have);
        if (n < 0 && errno == EINTR)
            continue;
        have = n > 0 ? have + (size_t)n : 0;
        const char *word[3], *at = order;
        unsigned words = 0;
        for (; words < 3 && memchr(at, 0, have - (size_t)(at - order)); words++) {
            word[words] = at;
            at += strlen(at) + 1;
        }
        if (words < 3) {
            have = have == ORDER_MAX ? 0 : have;
            continue;
        }
        pthread_mutex_lock(&serving);
        int status = serve(m, word[0], word[1], answer);
        answer_to(word[2], status, answer);
        pthread_mutex_unlock(&serving);
        have -= (size_t)(at - order);
        memmove(order, at, have);
    }
    return NULL;
}

/* A FIFO that nobody reads any more is left from a monitor that was killed. */
static bool is_left_over(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISFIFO(st.st_mode))
        return false;
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd < 0 && errno == ENXIO;
}

void control_create(struct machine *m, const char *path)
{
    char unborn[ORDER_MAX];

    if (is_left_over(path))
        unlink(path);
    snprintf(unborn, sizeof(unborn), "%s.%d", path, getpid());
    if (mkfifo(unborn, 0600) < 0)
        die_errno("--control %s", path);
    fifo = open(unborn, O_RDWR | O_CLOEXEC);
    bool named = fifo >= 0 && link(unborn, path) == 0; /* whoever sees the name is served */
    int err = errno;
    unlink(unborn);
    errno = err;
    if (!named)
        die_errno("--control %s", path);
    fifo_path = path;
    m->control = serve_orders;
}

void control_remove(void)
{
    if (!fifo_path)
        return;
    pthread_mutex_lock(&serving);
    unlink(fifo_path);
}

/* Waits for the answer as long as the monitor lives. */
static int wait_for_answer(const char *path, int answer_fd)
{
    struct pollfd p = {.fd = answer_fd, .events = POLLIN};
    char line[ANSWER_MAX + 16];

    while (poll(&p, 1, LOOK_MS) == 0) {
        if (is_left_over(path) || access(path, F_OK) < 0) {
            if (poll(&p, 1, 0) > 0)
                break; /* its last words */
            die(STATUS_CRASHED, "%s: the monitor has ended", path);
        }
    }
    ssize_t n = read(answer_fd, line, sizeof(line) - 1);
    if (n <= 2)
        die(STATUS_CRASHED, "%s: no answer", path);
    line[n - 1] = 0;
    say("%s", line + 2);
    return line[0] - '0';
}

static const char *absolute(const char *path, char *buffer, size_t size)
{
    bool relative = path[0] != '/' && getcwd(buffer, size);
    size_t used = relative ? strlen(buffer) : 0;

    snprintf(buffer + used, size - used, "%s%s", relative ? "/" : "", path);
    return buffer;
}

int control_order(const char *verb, const char *path, const char *argument)
{
    char order[ORDER_MAX], full[ORDER_MAX / 2], reply[ORDER_MAX / 4], at[ORDER_MAX / 4];

    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENXIO)
        die(STATUS_USAGE, "%s: no monitor serves it", path);
    if (fd < 0)
        die_errno("%s", path);
    snprintf(reply, sizeof(reply), "%s.%d", absolute(path, at, sizeof(at) - 16), getpid());
    int n = snprintf(order, sizeof(order), "%s%c%s%c%s", verb, 0,
                     absolute(argument, full, sizeof(full)), 0, reply);
    if (n < 0 || (size_t)n >= sizeof(order))
        die(STATUS_USAGE, "%s: the names are too long", path);
    if (mkfifo(reply, 0600) < 0)
        die_errno("%s", reply);
    int answer_fd = open(reply, O_RDWR | O_CLOEXEC);
    if (answer_fd < 0 || write(fd, order, (size_t)n + 1) != n + 1) {
        unlink(reply);
        die_errno("%s", path);
    }
    int status = wait_for_answer(path, answer_fd);
    unlink(reply);
    return status;
}
