// The kernel log: a ring that /dev/kmsg reads and a serial port that shows it; panic and assert.
#pragma once
#include "kernel/lib/types.h"

// Puts one message into the log with the time in front. Any context; `fmt` ends with '\n'.
void kprintf(const char *fmt, ...) __printf(1, 2);

// Copies log text from position *pos (a count of bytes since boot) into buf; moves *pos. Returns
// bytes copied, 0 at the end.
size_t log_read(u64 *pos, char *buf, size_t size);

// Sends the log to `port` (an I/O port of a 16550, 0x3f8 or 0x2f8) from now on.
void log_set_port(u16 port);
u16 log_port(void);

// Writes text to the log's port with neither time nor lock: for panic paths.
void log_raw(const char *text, size_t len);

// The kernel's own bug: prints the message and a symbolised backtrace, stops all CPUs.
void panic(const char *fmt, ...) __printf(1, 2) __noreturn;

// As panic, for a trap: prints the registers of tf and the backtrace of what it interrupted.
struct trapframe;
void panic_frame(struct trapframe *tf, const char *fmt, ...) __printf(2, 3) __noreturn;

// With `on` a panic ends the machine (power_off(1)) after its report instead of halting it:
// viv.panic=off.
void panic_set_power_off(bool on);

// Prints a symbolised backtrace from frame pointer `rbp` on.
void backtrace(u64 rip, u64 rbp);

// Name and offset of the kernel function that contains `addr`, or NULL.
const char *symbol_lookup(u64 addr, u64 *offset);

#define assert(cond)                                                                               \
    do {                                                                                           \
        if (!(cond))                                                                               \
            panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond);                       \
    } while (0)
