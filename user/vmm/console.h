#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The person's side of the guest's serial line: standard input and output.
 * A terminal is switched to raw mode, so that the guest sees every key; ^A x leaves the monitor, ^A
 * ^A sends ^A.
 */

/* What was typed and not handed out, less the monitor's own keys. */
struct console_keys {
    uint32_t count;
    uint8_t key[256];
};

/* Reads them for a saved state / sets them from one. */
struct console_keys console_save(void);
void console_load(const struct console_keys *keys);

/* Switches a terminal to raw mode; does nothing when standard input is none. */
void console_start(void);
/* Gives the terminal back as it was. May be called at any time and more than once. */
void console_restore(void);
bool console_is_raw(void);

/* Takes in what standard input has ready, without waiting; what the guest cannot take yet is kept
 * here. True: the person typed ^A x. */
bool console_pump(void);
/* Whether something is there to hand out. */
bool console_ready(void);
/* Hands out at most room bytes of what was taken in. */
size_t console_take(uint8_t *buffer, size_t room);
/* Sleeps until input is ready, wake_fd (an eventfd, which is then reset) is signalled, a signal
 * comes, or wait_ns have passed (negative: no limit). */
void console_wait(int wake_fd, int64_t wait_ns);
/* Writes all of it to the descriptor, in spite of signals. */
void console_write(int fd, const uint8_t *data, size_t size);
