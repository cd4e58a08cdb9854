/* worlds: a `top` of all three worlds. `worlds` refreshes each second until q, `worlds -1` prints
 * once. */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "user/worlds/sample.h"

enum { LIVE_MS = 1000, ONCE_MS = 500 };

static struct sample samples[2];
static struct termios saved;
static volatile sig_atomic_t quit;

/* The same world a moment ago, or NULL. */
static const struct world *earlier(const struct sample *before, const struct world *w)
{
    for (unsigned i = 0; i < before->count; i++) {
        const struct world *b = &before->world[i];
        if (b->kind == w->kind && b->pid == w->pid && !strcmp(b->name, w->name))
            return b;
    }
    return NULL;
}

/* What a counter gained in a second, times scale; negative: not known. */
static double rate(uint64_t before, uint64_t after, uint64_t interval_us, double scale)
{
    if (before == UNKNOWN || after == UNKNOWN || after < before || !interval_us)
        return -1;
    return (double)(after - before) * scale / (double)interval_us;
}

/* One decimal, without printf's floating point: the value in tenths. */
static void put_tenths(char *text, size_t size, double value)
{
    unsigned long tenths = (unsigned long)(value * 10 + 0.5);

    if (value < 0)
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%lu.%lu", tenths / 10, tenths % 10);
}

static void print_world(const struct sample *before, const struct sample *now,
                        const struct world *w)
{
    static const char *const kinds[] = {"process", "container", "vm"};
    static const char *const units[] = {"syscalls", "syscalls", "exits"};
    char who[40], cpu[24], memory[24], events[32];
    const struct world *b = earlier(before, w);
    uint64_t interval = now->time_us - before->time_us;

    if (w->kind == WORLD_CONTAINER)
        snprintf(who, sizeof(who), "%lu pid%s", (unsigned long)w->members,
                 w->members == 1 ? "" : "s");
    else if (w->kind == WORLD_VM)
        snprintf(who, sizeof(who), "%lu vCPU%s", (unsigned long)w->members,
                 w->members == 1 ? "" : "s");
    else
        snprintf(who, sizeof(who), "pid %d", w->pid);
    put_tenths(cpu, sizeof(cpu), b ? rate(b->cpu_us, w->cpu_us, interval, 100) : -1);
    put_tenths(memory, sizeof(memory), w->memory == UNKNOWN ? -1 : (double)w->memory / (1 << 20));
    double per_second = b ? rate(b->events, w->events, interval, 1e6) : -1;
    if (per_second < 0)
        snprintf(events, sizeof(events), "-");
    else
        snprintf(events, sizeof(events), "%lu", (unsigned long)(per_second + 0.5));
    printf("%-10s %-20.20s %10s %7s %11s %10s %s\n", kinds[w->kind], w->name, who, cpu, memory,
           events, units[w->kind]);
}

static void print_sample(const struct sample *before, const struct sample *now, unsigned rows)
{
    unsigned shown = now->count;

    printf("%-10s %-20s %10s %7s %11s %10s\n", "KIND", "NAME", "WHO", "CPU %", "MEMORY MiB",
           "PER SECOND");
    if (rows && shown > rows)
        shown = rows;
    for (unsigned i = 0; i < shown; i++)
        print_world(before, now, &now->world[i]);
    if (shown < now->count)
        printf("and %u more\n", now->count - shown);
}

static void on_signal(int signal)
{
    (void)signal;
    quit = 1;
}

static void start_terminal(void)
{
    struct termios t;
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (tcgetattr(STDIN_FILENO, &saved) < 0)
        return;
    t = saved;
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

/* Waits for the next refresh; sets quit on q or at the input's end. */
static void wait_for_key(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    char key = 'q';

    if (poll(&p, 1, LIVE_MS) > 0 && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q'))
        quit = 1;
}

static unsigned rows_to_show(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 4 ? size.ws_row - 4u : 20;
}

static void live(void)
{
    start_terminal();
    sample_take(&samples[0]);
    for (unsigned i = 0; !quit; i ^= 1) {
        wait_for_key();
        if (quit)
            break;
        sample_take(&samples[!i]);
        printf("\033[H\033[J"); /* home, and clear what is below */
        print_sample(&samples[i], &samples[!i], rows_to_show());
        printf("q quits\n");
        fflush(stdout);
    }
    tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

int main(int argc, char **argv)
{
    if (argc == 1) {
        live();
        return 0;
    }
    if (argc != 2 || strcmp(argv[1], "-1")) {
        fprintf(stderr, "usage: worlds [-1]\n");
        return 2;
    }
    sample_take(&samples[0]);
    poll(NULL, 0, ONCE_MS);
    sample_take(&samples[1]);
    print_sample(&samples[0], &samples[1], 0);
    return 0;
}
