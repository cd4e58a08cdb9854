/* The real-time clock, read only. */
#include "user/vmm/cmos.h"

#include <string.h>
#include <time.h>

enum { STATUS_A = 0x0a, STATUS_B = 0x0b, STATUS_C = 0x0c, STATUS_D = 0x0d, CENTURY = 0x32 };

static void set16(uint8_t *at, uint64_t value)
{
    uint64_t limited = value > 0xffff ? 0xffff : value;

    at[0] = (uint8_t)limited;
    at[1] = (uint8_t)(limited >> 8);
}

void cmos_init(struct cmos *cmos, uint64_t memory_size, unsigned cpus)
{
    memset(cmos, 0, sizeof(*cmos));
    cmos->memory[STATUS_A] = 0x26; /* 32 kHz crystal, 1024 Hz rate, no update in progress */
    cmos->memory[STATUS_B] = 0x02; /* 24 hours, BCD */
    cmos->memory[STATUS_D] = 0x80; /* the battery is good */
    cmos->memory[0x3d] = 0x02;     /* a BIOS starts from the hard disk */
    cmos->memory[0x5f] = (uint8_t)(cpus - 1);
    set16(&cmos->memory[0x15], 640);
    set16(&cmos->memory[0x17], memory_size / 1024 - 1024);
    set16(&cmos->memory[0x30], memory_size / 1024 - 1024);
    set16(&cmos->memory[0x34], memory_size > 16 << 20 ? (memory_size >> 16) - 256 : 0);
}

static uint8_t bcd(int value)
{
    return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

uint8_t cmos_read(struct cmos *cmos, uint16_t port)
{
    if (port == 0x70)
        return 0xff;
    time_t now = time(NULL);
    const struct tm *t = gmtime(&now);
    switch (cmos->index) {
    case 0x00:
        return bcd(t->tm_sec);
    case 0x02:
        return bcd(t->tm_min);
    case 0x04:
        return bcd(t->tm_hour);
    case 0x06:
        return bcd(t->tm_wday + 1);
    case 0x07:
        return bcd(t->tm_mday);
    case 0x08:
        return bcd(t->tm_mon + 1);
    case 0x09:
        return bcd(t->tm_year % 100);
    case CENTURY:
        return bcd(19 + t->tm_year / 100);
    default:
        return cmos->memory[cmos->index];
    }
}

void cmos_write(struct cmos *cmos, uint16_t port, uint8_t value)
{
    if (port == 0x70)
        cmos->index = value & 0x7f; /* bit 7 is the NMI switch */
    else if (cmos->index > STATUS_D && cmos->index != CENTURY)
        cmos->memory[cmos->index] = value;
}
