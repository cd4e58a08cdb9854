// with: user/vmm/uart.c user/vmm/cmos.c user/vmm/console.c
// The monitor's devices: what a guest's driver reads and when an interrupt line is up.
#include "user/vmm/cmos.h"
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

    cmos_init(&cmos, 64ull << 20, 1);
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
    uart_sends_and_interrupts();
    uart_receives_when_the_guest_listens();
    uart_probes_look_right();
    cmos_answers_in_bcd();
    return failures != 0;
}
