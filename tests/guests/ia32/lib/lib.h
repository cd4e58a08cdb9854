#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the 32-bit guest kernels have under them: console, traps, interrupt controller, timer. They
 * run under vmm and under bt and print the same.
 */

/* The guest's own part; the machine is switched off with the status that it returns. */
int guest_main(void);

/* The number behind "key=" on the command line, or otherwise. */
uint32_t option(const char *key, uint32_t otherwise);
void print(const char *text);
/* "name value", the value as 8 hexadecimal digits. */
void print_value(const char *name, uint32_t value);

struct trap {
    uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
    uint32_t vector, error, eip, cs, eflags;
};
/* Called for each exception and interrupt; may change what the interrupted code finds. */
extern void (*on_trap)(struct trap *t);

/* Remaps the 8259 to vector 32 on and lets the timer through, at hz interrupts a second. */
void timer_start(unsigned hz);
void timer_done(void); /* end of interrupt */

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* A digest that depends on the order: FNV-1a's step on a word. */
static inline uint32_t mix(uint32_t sum, uint32_t value)
{
    return (sum ^ value) * 16777619u;
}
