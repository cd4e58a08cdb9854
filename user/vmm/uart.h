#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A 16550A serial port, which sends into a file descriptor at once and receives through a 16-byte
 * FIFO. The divisor is kept and means nothing: the line has no speed. National Semiconductor
 * PC16550D data sheet.
 */

enum { UART_FIFO = 16, UART_OUT = 1024 };

struct uart {
    int fd; /* where what is sent goes */
    uint8_t interrupt_enable, line_control, modem_control, scratch;
    uint8_t divisor[2];
    bool fifo_enabled;
    bool sent_pending; /* the "transmitter empty" interrupt waits to be seen */
    bool drained; /* the guest took the last byte received: time to look for more; the caller clears
                     it */
    unsigned status_polls; /* reads of the line status since the last byte sent */
    uint8_t fifo[UART_FIFO];
    unsigned fifo_count;
    uint8_t out[UART_OUT];
    size_t out_count;
};

void uart_init(struct uart *uart, int fd);
/* reg is 0-7, the port relative to the base. */
uint8_t uart_read(struct uart *uart, unsigned reg);
void uart_write(struct uart *uart, unsigned reg, uint8_t value);

/* How many bytes the FIFO can take. 0 also while the guest does not listen yet: neither its
 * receive interrupt is on nor does it poll; so what is typed or piped in early is not lost. */
size_t uart_room(const struct uart *uart);
void uart_receive(struct uart *uart, const uint8_t *data, size_t size);
/* The level of the interrupt line. */
bool uart_line(const struct uart *uart);
/* Writes out what has been gathered. */
void uart_flush(struct uart *uart);
