// The 8254 interval timer.
#include "kernel/x86/pit.h"

#include "kernel/x86/cpu.h"

#define CHANNEL0 0x40
#define CHANNEL2 0x42
#define COMMAND 0x43
#define PORT61 0x61
#define PORT61_GATE2 1
#define PORT61_SPEAKER 2
#define PORT61_OUT2 0x20

#define CH0_MODE0 0x30 // low then high byte, interrupt on terminal count
#define CH2_MODE0 0xb0
#define CH2_LATCH 0x80

void pit_start_count(void)
{
    outb(PORT61, (inb(PORT61) & ~PORT61_SPEAKER) | PORT61_GATE2);
    outb(COMMAND, CH2_MODE0);
    outb(CHANNEL2, 0xff);
    outb(CHANNEL2, 0xff);
}

u16 pit_read_count(void)
{
    outb(COMMAND, CH2_LATCH);
    u8 low = inb(CHANNEL2);
    return (u16)(inb(CHANNEL2) << 8 | low);
}

bool pit_count_ended(void)
{
    return inb(PORT61) & PORT61_OUT2;
}

void pit_one_shot(u16 count)
{
    outb(COMMAND, CH0_MODE0);
    outb(CHANNEL0, (u8)count);
    outb(CHANNEL0, (u8)(count >> 8));
}
