/* Messages of the monitor. They go out in one write each, so that they do not mix with the guest's
 * console. */
#include "user/vmm/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/vmm/console.h"

static void put_line(const char *format, va_list args, const char *reason)
{
    char line[512] = "vmm: ";
    size_t room = sizeof(line) - 2, used = strlen(line);

    int n = vsnprintf(line + used, room - used, format, args);
    used = n < 0 ? used : used + (size_t)n < room ? used + (size_t)n : room - 1;
    if (reason) {
        n = snprintf(line + used, room - used, ": %s", reason);
        used = n < 0 ? used : used + (size_t)n < room ? used + (size_t)n : room - 1;
    }
    if (console_is_raw())
        line[used++] = '\r';
    line[used++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, used);
    (void)ignored;
}

void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_line(format, args, NULL);
    va_end(args);
}

void die(int status, const char *format, ...)
{
    va_list args;
    console_restore();
    va_start(args, format);
    put_line(format, args, NULL);
    va_end(args);
    exit(status);
}

void die_errno(const char *format, ...)
{
    const char *reason = strerror(errno);
    va_list args;
    console_restore();
    va_start(args, format);
    put_line(format, args, reason);
    va_end(args);
    exit(STATUS_USAGE);
}
