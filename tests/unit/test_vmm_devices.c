// with: user/vmm/pic.c user/vmm/pit.c user/vmm/uart.c user/vmm/cmos.c user/vmm/console.c
// The monitor's devices: what a guest's driver reads and when an interrupt line is up.
#include "user/vmm/cmos.h"
#include "user/vmm/pic.h"
#include "user/vmm/pit.h"
#include "user/vmm/uart.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int failures;

#define EQUAL(actual, expected)                                                                    \
    equal(#actual, __LINE__, (unsigned long)(actual), (unsigned long)(expected))
static void equal(const char *what, int line, unsigned long actual, unsigned long expected)
{
    if (actual == expected)
        return;
    failures++;
    printf("line %d: %s: expected %lu (0x%lx), actual %lu (0x%lx)\n", line, what, expected,
           expected, actual, actual);
}

#define MS 1000000ull
#define SECOND (1000 * MS)

static struct pic new_pic(void)
{
    struct pic pic;

    pic_init(&pic);
    for (int chip = 0; chip < 2; chip++) {
        uint16_t port = chip ? 0xa0 : 0x20;
        pic_write(&pic, port, 0x11);
        pic_write(&pic, port + 1, chip ? 0x28 : 0x20);
        pic_write(&pic, port + 1, chip ? 2 : 4);
        pic_write(&pic, port + 1, 1);
        pic_write(&pic, port + 1, 0);
    }
    return pic;
}

static void pic_serves_the_highest_first(void)
{
    struct pic pic = new_pic();

    pic_line(&pic, 4, true);
    pic_line(&pic, 1, true);
    EQUAL(pic_pending(&pic), true);
    EQUAL(pic_acknowledge(&pic), 0x21);
    EQUAL(pic_pending(&pic), false); /* 4 is below 1, which is in service */
    pic_line(&pic, 0, true);
    EQUAL(pic_acknowledge(&pic), 0x20); /* 0 is above */
    pic_write(&pic, 0x20, 0x20);
    EQUAL(pic_pending(&pic), false);
    pic_write(&pic, 0x20, 0x61); /* specific: 1 */
    EQUAL(pic_acknowledge(&pic), 0x24);
}

static void pic_makes_one_request_an_edge(void)
{
    struct pic pic = new_pic();

    pic_line(&pic, 3, true);
    EQUAL(pic_acknowledge(&pic), 0x23);
    pic_write(&pic, 0x20, 0x20);
    pic_line(&pic, 3, true);
    EQUAL(pic_pending(&pic), false);
    pic_line(&pic, 3, false);
    pic_line(&pic, 3, true);
    EQUAL(pic_pending(&pic), true);
    pic_line(&pic, 3, false); /* gone before it was taken */
    EQUAL(pic_pending(&pic), false);
    EQUAL(pic_acknowledge(&pic), 0x27); /* spurious */
    pic_write(&pic, 0x20, 0x0b);
    EQUAL(pic_read(&pic, 0x20), 0);
}

static void pic_cascades(void)
{
    struct pic pic = new_pic();

    pic_line(&pic, 8, true);
    pic_line(&pic, 12, true);
    EQUAL(pic_acknowledge(&pic), 0x28);
    pic_write(&pic, 0xa0, 0x20);
    pic_write(&pic, 0x20, 0x20);
    EQUAL(pic_pending(&pic), true); /* 12 still waits behind the cascade */
    EQUAL(pic_acknowledge(&pic), 0x2c);
}

static void pic_masks(void)
{
    struct pic pic = new_pic();

    pic_write(&pic, 0x21, 0x10);
    EQUAL(pic_read(&pic, 0x21), 0x10);
    pic_line(&pic, 4, true);
    EQUAL(pic_pending(&pic), false);
    EQUAL(pic_read(&pic, 0x20), 0x10); /* the request stays */
    pic_write(&pic, 0x21, 0);
    EQUAL(pic_acknowledge(&pic), 0x24);
}

static void program(struct pit *pit, uint8_t control, uint16_t count, uint64_t now)
{
    uint16_t port = 0x40 + (control >> 6);

    pit_write(pit, 0x43, control, now);
    pit_write(pit, port, (uint8_t)count, now);
    pit_write(pit, port, (uint8_t)(count >> 8), now);
}

static void pit_ticks_at_its_rate_and_catches_up(void)
{
    struct pit pit;
    unsigned ticks = 0;

    pit_init(&pit);
    EQUAL(pit_deadline(&pit), 0);
    program(&pit, 0x34, 11932, SECOND); /* 100 Hz */
    EQUAL(pit_deadline(&pit) / 100000, (SECOND + 10 * MS) / 100000);
    for (uint64_t now = SECOND; now <= 3 * SECOND + MS; now += MS)
        ticks += pit_take_tick(&pit, now);
    EQUAL(ticks, 200);
    for (ticks = 0; pit_take_tick(&pit, 3 * SECOND + 501 * MS);) /* half a second went by unseen */
        ticks++;
    EQUAL(ticks, 50);
    for (ticks = 0; pit_take_tick(&pit, 100 * SECOND);) /* a long sleep is not made up for */
        ticks++;
    EQUAL(ticks <= 2, true);
}

static void pit_one_shot_rings_once(void)
{
    struct pit pit;

    pit_init(&pit);
    program(&pit, 0x30, 1193, SECOND); /* a millisecond */
    EQUAL(pit_take_tick(&pit, SECOND + MS / 2), false);
    EQUAL(pit_take_tick(&pit, SECOND + MS + 10000), true);
    EQUAL(pit_take_tick(&pit, 2 * SECOND), false);
    EQUAL(pit_deadline(&pit), 0);
}

static void pit_counts_down(void)
{
    struct pit pit;

    pit_init(&pit);
    program(&pit, 0x34, 0, SECOND);
    pit_write(&pit, 0x43, 0x00, SECOND + 10 * MS); /* latch channel 0 */
    unsigned low = pit_read(&pit, 0x40, 2 * SECOND), high = pit_read(&pit, 0x40, 3 * SECOND);
    EQUAL(low | high << 8, 65536 - 11931);
}

static void pit_channel_2_shows_at_port_61(void)
{
    struct pit pit;

    pit_init(&pit);
    pit_write(&pit, 0x61, 1, SECOND);
    program(&pit, 0xb0, 11932, SECOND); /* 10 ms, one shot */
    EQUAL(pit_read(&pit, 0x61, SECOND + 9 * MS) & 0x21, 1);
    EQUAL(pit_read(&pit, 0x61, SECOND + 11 * MS) & 0x21, 0x21);
    pit_write(&pit, 0x43, 0xe8, SECOND + 11 * MS); /* read back: status of channel 2 */
    EQUAL(pit_read(&pit, 0x42, SECOND + 11 * MS), 0xb0);
}

static void uart_sends_and_interrupts(void)
{
    struct uart uart;
    int ends[2];
    char got[8] = "";

    EQUAL(pipe(ends), 0);
    uart_init(&uart, ends[1]);
    EQUAL(uart_read(&uart, 5), 0x60);
    uart_write(&uart, 0, 'a');
    uart_write(&uart, 0, '\n');
    EQUAL(read(ends[0], got, sizeof(got)), 2);
    EQUAL(strcmp(got, "a\n"), 0);
    uart_write(&uart, 1, 2);
    EQUAL(uart_line(&uart), false); /* OUT2 gates the line */
    uart_write(&uart, 4, 8);
    EQUAL(uart_line(&uart), true);
    EQUAL(uart_read(&uart, 2) & 0x0f, 2);
    EQUAL(uart_line(&uart), false); /* reading the identification takes it back */
    uart_write(&uart, 0, 'b');
    EQUAL(uart_line(&uart), true);
    close(ends[0]);
    close(ends[1]);
}

static void uart_receives_when_the_guest_listens(void)
{
    struct uart uart;

    uart_init(&uart, STDOUT_FILENO);
    EQUAL(uart_room(&uart), 0);
    uart_write(&uart, 4, 8);
    uart_write(&uart, 1, 1);
    EQUAL(uart_room(&uart), UART_FIFO);
    uart_receive(&uart, (const uint8_t *)"hello, world, and more", 22);
    EQUAL(uart_room(&uart), 0);
    EQUAL(uart_line(&uart), true);
    EQUAL(uart_read(&uart, 2) & 0x0f, 4);
    EQUAL(uart_read(&uart, 0), 'h');
    EQUAL(uart_read(&uart, 0), 'e');
    EQUAL(uart_room(&uart), 2);
    uart_write(&uart, 2, 3);
    EQUAL(uart_read(&uart, 5) & 1, 0);
    EQUAL(uart_line(&uart), false);
}

static void uart_probes_look_right(void)
{
    struct uart uart;

    uart_init(&uart, STDOUT_FILENO);
    uart_write(&uart, 7, 0xa5);
    EQUAL(uart_read(&uart, 7), 0xa5);
    uart_write(&uart, 3, 0x83);
    uart_write(&uart, 0, 0x0c);
    uart_write(&uart, 1, 0x01);
    EQUAL(uart_read(&uart, 0), 0x0c);
    EQUAL(uart_read(&uart, 1), 0x01);
    uart_write(&uart, 3, 3);
    EQUAL(uart_read(&uart, 1), 0);
    uart_write(&uart, 2, 1);
    EQUAL(uart_read(&uart, 2), 0xc1);
    uart_write(&uart, 4, 0x1a); /* loop: OUT2 and RTS come back as DCD and CTS */
    EQUAL(uart_read(&uart, 6) & 0xf0, 0x90);
    uart_write(&uart, 0, 0x5a);
    EQUAL(uart_read(&uart, 0), 0x5a);
}

static void cmos_answers_in_bcd(void)
{
    struct cmos cmos;

    cmos_init(&cmos, 64ull << 20);
    cmos_write(&cmos, 0x70, 0x80 | 0x0a);
    EQUAL(cmos_read(&cmos, 0x71) & 0x80, 0);
    for (uint8_t reg = 0; reg < 10; reg += 2) {
        cmos_write(&cmos, 0x70, reg);
        uint8_t value = cmos_read(&cmos, 0x71);
        EQUAL((value & 15) < 10 && value >> 4 < 10, true);
    }
    cmos_write(&cmos, 0x70, 0x32);
    EQUAL(cmos_read(&cmos, 0x71), 0x20);
    cmos_write(&cmos, 0x70, 0x34);
    EQUAL(cmos_read(&cmos, 0x71), (64 - 16) * 16 & 0xff);
}

int main(void)
{
    pic_serves_the_highest_first();
    pic_makes_one_request_an_edge();
    pic_cascades();
    pic_masks();
    pit_ticks_at_its_rate_and_catches_up();
    pit_one_shot_rings_once();
    pit_counts_down();
    pit_channel_2_shows_at_port_61();
    uart_sends_and_interrupts();
    uart_receives_when_the_guest_listens();
    uart_probes_look_right();
    cmos_answers_in_bcd();
    return failures != 0;
}
