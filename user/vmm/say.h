#pragma once
#include <stdbool.h>

/*
 * Messages of the monitor to its user, on standard error, each one line that starts with "vmm: ".
 */

/* Exit statuses of the program. A guest may end with another one through port 0xf4. */
enum {
    STATUS_OK = 0,      /* the guest switched its machine off */
    STATUS_CRASHED = 1, /* the guest cannot go on: triple fault, refused entry, halted for good */
    STATUS_USAGE = 2,   /* bad options, bad kernel, no /dev/kvm */
};

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the message, gives the terminal back as it was and ends the program. */
void die(int status, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

/* die(STATUS_USAGE) with the text of errno behind the message. */
void die_errno(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
