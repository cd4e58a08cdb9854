// The CMOS real-time clock.
#include "kernel/x86/cmos.h"

#include "kernel/lib/string.h"
#include "kernel/x86/cpu.h"

#define INDEX 0x70
#define DATA 0x71
#define REG_A 0x0a
#define REG_B 0x0b
#define A_UPDATING 0x80
#define B_BINARY 0x04
#define B_24_HOURS 0x02
#define PM 0x80
#define PATIENCE 100000
#define TRIES 10

struct rtc {
    u8 second, minute, hour, day, month, year;
};

static u8 cmos_read(u8 reg)
{
    outb(INDEX, reg);
    return inb(DATA);
}

static bool read_fields(struct rtc *t)
{
    for (int i = 0; cmos_read(REG_A) & A_UPDATING; i++)
        if (i == PATIENCE)
            return false;
    *t = (struct rtc){cmos_read(0), cmos_read(2), cmos_read(4),
                      cmos_read(7), cmos_read(8), cmos_read(9)};
    return true;
}

static u8 from_bcd(u8 v)
{
    return (v >> 4) * 10 + (v & 15);
}

// Days from 1970-01-01 to the first of the month, Gregorian calendar, years from 1970 on.
static u64 days_to(u64 year, unsigned month)
{
    static const u16 before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    u64 last = year - 1;

    return (year - 1970) * 365 + (last / 4 - last / 100 + last / 400) -
           (1969 / 4 - 1969 / 100 + 1969 / 400) + before[month - 1] + (leap && month > 2);
}

u64 cmos_read_time(void)
{
    struct rtc a, b;
    int tries = 0;

    do { // twice the same: no update came between
        if (!read_fields(&a) || !read_fields(&b) || tries++ == TRIES)
            return 0;
    } while (memcmp(&a, &b, sizeof(a)) != 0);
    u8 mode = cmos_read(REG_B);
    bool pm = !(mode & B_24_HOURS) && (a.hour & PM);
    a.hour &= ~PM;
    if (!(mode & B_BINARY))
        a = (struct rtc){from_bcd(a.second), from_bcd(a.minute), from_bcd(a.hour),
                         from_bcd(a.day),    from_bcd(a.month),  from_bcd(a.year)};
    if (!(mode & B_24_HOURS))
        a.hour = a.hour % 12 + (pm ? 12 : 0);
    if (a.month < 1 || a.month > 12 || a.day < 1)
        return 0;
    u64 year = a.year < 70 ? 2000 + a.year : 1900 + a.year;
    return ((days_to(year, a.month) + a.day - 1) * 24 + a.hour) * 3600 + a.minute * 60 + a.second;
}
