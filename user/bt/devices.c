/* The machine around the CPU, in the small form that a small kernel needs: a 16550 that sends, the
 * master 8259A, channel 0 of the 8254 with two-byte counts, and the ports that end the machine. */
#include "user/bt/bt.h"

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

#define PIT_HZ 1193182ull
enum { COM1 = 0x3f8, LINE_STATUS = COM1 + 5, LINE_EMPTY = 0x60 };
enum { PORT_EXIT = 0xf4, PORT_POWER = 0x604, POWER_OFF = 0x20 };

static struct {
    uint8_t request, service, mask, base, expects; /* expects: the next ICW, 0: none */
} pic = {.mask = 0xff};

static struct {
    uint8_t low;
    bool second, running;
} pit;

/* The host's interval timer is the guest's: each SIGALRM is a tick. */
static void pit_write(uint16_t port, uint8_t value)
{
    uint32_t count = pit.low | (uint32_t)value << 8;
    suseconds_t us = (suseconds_t)((count ? count : 65536) * 1000000 / PIT_HZ);
    struct itimerval timer = {{0, us}, {0, us}};

    if (port == 0x43 || pit.second) {
        pit.running = port == 0x40;
        setitimer(ITIMER_REAL, pit.running ? &timer : &(struct itimerval){0}, NULL);
    }
    pit.low = value;
    pit.second = port == 0x40 && !pit.second;
}

static void pic_write(uint16_t port, uint8_t value)
{
    if (port == 0x20 && value & 0x10) {
        pic.request = pic.service = pic.mask = 0;
        pic.expects = 2;
    } else if (port == 0x20 && value & 0x20) { /* end of interrupt: of one input, or the highest */
        pic.service &= (uint8_t) ~(value & 0x40 ? 1 << (value & 7) : pic.service & -pic.service);
    } else if (port == 0x21 && pic.expects) {
        if (pic.expects == 2)
            pic.base = value & 0xf8;
        pic.expects = pic.expects == 4 ? 0 : pic.expects + 1;
    } else if (port == 0x21) {
        pic.mask = value;
    }
}

int devices_interrupt(bool tick, bool allowed)
{
    pic.request |= tick;
    if (!allowed || !(pic.request & ~pic.mask) || pic.service & 1)
        return -1;
    pic.request = 0; /* input 0, the timer, is the only one that is wired */
    pic.service |= 1;
    return pic.base;
}

bool devices_wait(const volatile bool *alarm)
{
    sigset_t blocked, before;

    fflush(stdout);
    if (!pit.running || pic.mask & 1)
        return false;
    sigfillset(&blocked);
    sigprocmask(SIG_SETMASK, &blocked, &before);
    while (!*alarm && !pic.request)
        sigsuspend(&before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return true;
}

uint32_t port_read(uint16_t port)
{
    if (port >= COM1 && port < COM1 + 8)
        return port == LINE_STATUS ? LINE_EMPTY : 0;
    return port == 0x20 ? pic.request : port == 0x21 ? pic.mask : UINT32_MAX;
}

void port_write(uint16_t port, unsigned size, uint32_t value)
{
    if (port == PORT_EXIT)
        guest_ends((int)(value & 0xff));
    for (; size--; port++, value >>= 8) {
        if (port == COM1)
            putchar((int)(value & 0xff));
        else if (port == 0x20 || port == 0x21)
            pic_write(port, (uint8_t)value);
        else if (port == 0x40 || port == 0x43)
            pit_write(port, (uint8_t)value);
        else if (port == PORT_POWER + 1 && value & POWER_OFF)
            guest_ends(STATUS_OK);
    }
}
