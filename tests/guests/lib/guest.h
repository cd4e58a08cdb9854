#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What every small guest kernel has under it: a serial console, traps, the 8259 and the 8254. A
 * guest is one file with guest_main().
 */

/* The guest's own part. When it returns the machine is switched off with the status it returns. */
int guest_main(const char *command_line);

/* printf's d, u, x, s, c and llx, onto COM1. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Switches the machine off: status 0 by ACPI's port, others by the debug-exit port. */
void power_off(int status) __attribute__((noreturn));

/* Runs f; returns the vector of the exception that ended it, or -1 when it returned. */
int guest_try(void (*f)(void));
/* Called for interrupts 0-15 with the 8259 acknowledged afterwards. */
extern void (*guest_irq)(unsigned irq);
/* Remaps the 8259s to vectors 32-47 and lets through the inputs in mask. */
void pic_enable(uint16_t inputs);
/* Channel 0 of the 8254 at hz interrupts a second. */
void timer_start(unsigned hz);

/* Starts the second processor of two in f, which must not return and takes no traps. */
void second_cpu_start(void (*f)(void));

/* What the loader gave. */
struct module {
    const char *data;
    uint32_t size;
    const char *string;
};
uint32_t memory_kib(void); /* above 1 MiB */
unsigned module_count(void);
struct module module_get(unsigned i);

/* The number behind "key=" on the command line, or otherwise. */
uint64_t option_number(const char *command_line, const char *key, uint64_t otherwise);

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
