/* The floor's C part. */
#include "tests/guests/ia32/lib/lib.h"

enum { COM1 = 0x3f8, LINE_STATUS = COM1 + 5, EMPTY = 0x20, VECTORS = 64 };

extern char trap_stubs[];
extern uint32_t boot_info;
void trap(struct trap *t);
void start(void);

void (*on_trap)(struct trap *t);
static uint32_t idt[VECTORS][2];

static void put(char c)
{
    while (!(inb(LINE_STATUS) & EMPTY))
        ;
    outb(COM1, (uint8_t)c);
}

void print(const char *text)
{
    while (*text)
        put(*text++);
}

void print_value(const char *name, uint32_t value)
{
    print(name);
    put(' ');
    for (int shift = 28; shift >= 0; shift -= 4)
        put("0123456789abcdef"[value >> shift & 15]);
    put('\n');
}

uint32_t option(const char *key, uint32_t otherwise)
{
    for (const char *s = (const char *)((uint32_t *)boot_info)[4]; *s; s++) {
        size_t n = 0;
        while (key[n] && s[n] == key[n])
            n++;
        if (key[n] || s[n] != '=')
            continue;
        for (otherwise = 0, s += n + 1; *s >= '0' && *s <= '9'; s++)
            otherwise = otherwise * 10 + (uint32_t)(*s - '0');
        break;
    }
    return otherwise;
}

static void power_off(int status)
{
    if (!status)
        __asm__ volatile("outw %w0, %w1" : : "a"(0x2000), "d"(0x604));
    outb(0xf4, (uint8_t)status);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void trap(struct trap *t)
{
    if (on_trap) {
        on_trap(t);
        return;
    }
    print_value("unexpected vector", t->vector);
    print_value("eip", t->eip);
    power_off(3);
}

void timer_start(unsigned hz)
{
    static const uint8_t to_pic[][2] = {{0x20, 0x11}, {0xa0, 0x11}, {0x21, 32}, {0xa1, 40},
                                        {0x21, 4},    {0xa1, 2},    {0x21, 1},  {0xa1, 1},
                                        {0x21, 0xfe}, {0xa1, 0xff}};
    unsigned count = 1193182 / hz;

    for (size_t i = 0; i < sizeof(to_pic) / sizeof(to_pic[0]); i++)
        outb(to_pic[i][0], to_pic[i][1]);
    outb(0x43, 0x34);
    outb(0x40, (uint8_t)count);
    outb(0x40, (uint8_t)(count >> 8));
}

void timer_done(void)
{
    outb(0x20, 0x20);
}

void start(void)
{
    const struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) pointer = {sizeof(idt) - 1, (uint32_t)idt};

    for (unsigned i = 0; i < VECTORS; i++) {
        uint32_t at = (uint32_t)(trap_stubs + 16 * i);
        idt[i][0] = 8 << 16 | (at & 0xffff);
        idt[i][1] = (at & 0xffff0000) | 0x8e00;
    }
    __asm__ volatile("lidt %0" : : "m"(pointer));
    power_off(guest_main());
}
