/* The floor under the guest kernels: console, traps, interrupt controller, timer, boot information.
 */
#include "tests/guests/lib/guest.h"

#include <stdarg.h>

enum { COM1 = 0x3f8, LINE_STATUS = 5, EMPTY = 0x20 };
enum { VECTORS = 256, IRQ_BASE = 32 };

struct gate {
    uint16_t low, selector;
    uint8_t ist, type;
    uint16_t middle;
    uint32_t high, zero;
};

extern char trap_stubs[];
extern uint32_t boot_info, boot_magic;
extern uint64_t guest_recovery;
void guest_recover(int vector) __attribute__((noreturn));
void guest_trap(uint64_t vector, uint64_t error, const uint64_t *frame);
void guest_start(void);

static struct gate idt[VECTORS];
void (*guest_irq)(unsigned irq);

static void put(char c)
{
    while (!(inb(COM1 + LINE_STATUS) & EMPTY))
        ;
    outb(COM1, (uint8_t)c);
}

static void put_number(uint64_t value, unsigned base)
{
    char digits[24];
    int n = 0;

    do
        digits[n++] = "0123456789abcdef"[value % base];
    while (value /= base);
    while (n)
        put(digits[--n]);
}

static void put_signed(int64_t value)
{
    if (value < 0)
        put('-');
    put_number((uint64_t)(value < 0 ? -value : value), 10);
}

static void put_string(const char *s)
{
    while (*s)
        put(*s++);
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put(*f);
            continue;
        }
        bool wide = f[1] == 'l';
        while (*++f == 'l')
            ;
        if (*f == 's')
            put_string(va_arg(args, const char *));
        else if (*f == 'c')
            put((char)va_arg(args, int));
        else if (*f == 'd')
            put_signed(wide ? va_arg(args, int64_t) : va_arg(args, int));
        else
            put_number(wide ? va_arg(args, uint64_t) : va_arg(args, uint32_t), *f == 'x' ? 16 : 10);
    }
    va_end(args);
}

void power_off(int status)
{
    if (!status)
        outw(0x604, 0x2000);
    outb(0xf4, (uint8_t)status);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void guest_trap(uint64_t vector, uint64_t error, const uint64_t *frame)
{
    if (vector >= IRQ_BASE && vector < IRQ_BASE + 16) {
        if (guest_irq)
            guest_irq((unsigned)vector - IRQ_BASE);
        if (vector >= IRQ_BASE + 8)
            outb(0xa0, 0x20);
        outb(0x20, 0x20);
        return;
    }
    if (guest_recovery && vector < IRQ_BASE)
        guest_recover((int)vector);
    print("guest: unexpected vector %llu, error 0x%llx, rip 0x%llx\n", (unsigned long long)vector,
          (unsigned long long)error, (unsigned long long)frame[0]);
    power_off(3);
}

static void set_gates(void)
{
    for (unsigned i = 0; i < VECTORS; i++) {
        uint64_t at = (uint64_t)(trap_stubs + 16 * i);
        idt[i] = (struct gate){.low = (uint16_t)at,
                               .selector = 8,
                               .type = 0x8e,
                               .middle = (uint16_t)(at >> 16),
                               .high = (uint32_t)(at >> 32)};
    }
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

void pic_enable(uint16_t inputs)
{
    outb(0x20, 0x11);
    outb(0xa0, 0x11);
    outb(0x21, IRQ_BASE);
    outb(0xa1, IRQ_BASE + 8);
    outb(0x21, 4);
    outb(0xa1, 2);
    outb(0x21, 1);
    outb(0xa1, 1);
    outb(0x21, (uint8_t)~inputs);
    outb(0xa1, (uint8_t) ~(inputs >> 8));
}

void timer_start(unsigned hz)
{
    unsigned count = 1193182 / hz;

    outb(0x43, 0x34);
    outb(0x40, (uint8_t)count);
    outb(0x40, (uint8_t)(count >> 8));
}

static const uint32_t *info(void)
{
    return (const uint32_t *)(uint64_t)boot_info;
}

uint32_t memory_kib(void)
{
    return info()[2];
}

unsigned module_count(void)
{
    return info()[0] & 8 ? info()[5] : 0;
}

struct module module_get(unsigned i)
{
    const uint32_t *m = (const uint32_t *)(uint64_t)info()[6] + 4 * i;

    return (struct module){(const char *)(uint64_t)m[0], m[1] - m[0], (const char *)(uint64_t)m[2]};
}

uint64_t option_number(const char *s, const char *key, uint64_t otherwise)
{
    for (; *s; s++) {
        size_t n = 0;
        while (key[n] && s[n] == key[n])
            n++;
        if (key[n] || s[n] != '=')
            continue;
        uint64_t value = 0;
        for (s += n + 1; *s >= '0' && *s <= '9'; s++)
            value = value * 10 + (uint64_t)(*s - '0');
        return value;
    }
    return otherwise;
}

void guest_start(void)
{
    set_gates();
    if (boot_magic != 0x2badb002) {
        print("guest: the loader's magic number is 0x%x\n", boot_magic);
        power_off(3);
    }
    power_off(guest_main((const char *)(uint64_t)info()[4]));
}
