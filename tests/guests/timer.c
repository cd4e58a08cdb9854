/* The 8254 through the 8259, and HLT: `ticks` of a 100 Hz timer. Then, with `echo=1`, what comes in
 * at COM1 goes back, up to a dot. */
#include "tests/guests/lib/guest.h"

enum { HZ = 100, COM1 = 0x3f8 };

static volatile unsigned ticks;
static volatile bool ended;

static void on_irq(unsigned irq)
{
    if (irq == 0) {
        ticks++;
        return;
    }
    while (inb(COM1 + 5) & 1) {
        char c = (char)inb(COM1);
        print("%c", c);
        ended |= c == '.';
    }
}

int guest_main(const char *command_line)
{
    unsigned wanted = (unsigned)option_number(command_line, "ticks", 20);
    bool spin = option_number(command_line, "spin", 0);

    guest_irq = on_irq;
    pic_enable(1 | 1 << 4);
    timer_start(HZ);
    __asm__ volatile("sti");
    while (ticks < wanted)
        if (!spin)
            __asm__ volatile("hlt");
    print("%u ticks\n", wanted);
    if (option_number(command_line, "echo", 0)) {
        outb(COM1 + 4, 0x0b);
        outb(COM1 + 1, 1);
        while (!ended)
            __asm__ volatile("hlt");
        print("\n");
    }
    return 0;
}
