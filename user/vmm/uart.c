/* The 16550A. What the guest sends is gathered up to a line, so that a character does not cost a
 * system call. */
#include "user/vmm/uart.h"

#include <string.h>

#include "user/vmm/console.h"

enum {
    DATA,
    INTERRUPT_ENABLE,
    INTERRUPT_ID,
    LINE_CONTROL,
    MODEM_CONTROL,
    LINE_STATUS,
    MODEM_STATUS,
    SCRATCH
};
enum { FIFO_CONTROL = INTERRUPT_ID };
enum { IER_RECEIVED = 1, IER_SENT = 2 };
enum { IIR_NONE = 1, IIR_SENT = 2, IIR_RECEIVED = 4, IIR_FIFO = 0xc0 };
enum { LCR_DIVISOR = 0x80 };
enum { MCR_OUT2 = 8, MCR_LOOP = 0x10 };
enum { LSR_DATA = 1, LSR_EMPTY = 0x60 };
enum { MSR_CONNECTED = 0xb0 }; /* carrier, data set ready, clear to send */
enum { FCR_ENABLE = 1, FCR_CLEAR_RECEIVE = 2 };
enum {
    POLLS_TO_LISTEN = 2
}; /* reads of the status with nothing sent between: the guest waits for input */

void uart_init(struct uart *uart, int fd)
{
    memset(uart, 0, sizeof(*uart));
    uart->fd = fd;
    uart->divisor[0] = 1;
}

void uart_flush(struct uart *uart)
{
    if (uart->out_count)
        console_write(uart->fd, uart->out, uart->out_count);
    uart->out_count = 0;
}

static void send(struct uart *uart, uint8_t byte)
{
    uart->status_polls = 0;
    uart->sent_pending = true;
    if (uart->modem_control & MCR_LOOP) {
        uart_receive(uart, &byte, 1);
        return;
    }
    uart->out[uart->out_count++] = byte;
    if (byte == '\n' || uart->out_count == UART_OUT)
        uart_flush(uart);
}

size_t uart_room(const struct uart *uart)
{
    bool listens = uart->interrupt_enable & IER_RECEIVED || uart->status_polls >= POLLS_TO_LISTEN;

    return listens && !(uart->modem_control & MCR_LOOP) ? UART_FIFO - uart->fifo_count : 0;
}

void uart_receive(struct uart *uart, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size && uart->fifo_count < UART_FIFO; i++)
        uart->fifo[uart->fifo_count++] = data[i];
}

static uint8_t interrupt_id(const struct uart *uart)
{
    if (uart->interrupt_enable & IER_RECEIVED && uart->fifo_count)
        return IIR_RECEIVED;
    if (uart->interrupt_enable & IER_SENT && uart->sent_pending)
        return IIR_SENT;
    return IIR_NONE;
}

bool uart_line(const struct uart *uart)
{
    return interrupt_id(uart) != IIR_NONE && uart->modem_control & MCR_OUT2;
}

static uint8_t read_data(struct uart *uart)
{
    if (!uart->fifo_count)
        return 0;
    uint8_t byte = uart->fifo[0];
    memmove(uart->fifo, uart->fifo + 1, --uart->fifo_count);
    uart->drained = !uart->fifo_count;
    return byte;
}

static uint8_t read_interrupt_id(struct uart *uart)
{
    uint8_t id = interrupt_id(uart);

    if (id == IIR_SENT)
        uart->sent_pending = false;
    return id | (uart->fifo_enabled ? IIR_FIFO : 0);
}

/* In loop mode the four outputs come back as the four inputs. */
static uint8_t modem_status(const struct uart *uart)
{
    uint8_t m = uart->modem_control;

    if (!(m & MCR_LOOP))
        return MSR_CONNECTED;
    return (uint8_t)((m & 2) << 3 | (m & 1) << 5 | (m & 4) << 4 | (m & 8) << 4);
}

uint8_t uart_read(struct uart *uart, unsigned reg)
{
    bool divisor = uart->line_control & LCR_DIVISOR;

    switch (reg) {
    case DATA:
        return divisor ? uart->divisor[0] : read_data(uart);
    case INTERRUPT_ENABLE:
        return divisor ? uart->divisor[1] : uart->interrupt_enable;
    case INTERRUPT_ID:
        return read_interrupt_id(uart);
    case LINE_CONTROL:
        return uart->line_control;
    case MODEM_CONTROL:
        return uart->modem_control;
    case LINE_STATUS:
        uart->status_polls++;
        return LSR_EMPTY | (uart->fifo_count ? LSR_DATA : 0);
    case MODEM_STATUS:
        return modem_status(uart);
    default:
        return uart->scratch;
    }
}

static void write_interrupt_enable(struct uart *uart, uint8_t value)
{
    if (value & IER_SENT && !(uart->interrupt_enable & IER_SENT))
        uart->sent_pending = true; /* the transmitter is always empty */
    uart->interrupt_enable = value & 0x0f;
}

void uart_write(struct uart *uart, unsigned reg, uint8_t value)
{
    bool divisor = uart->line_control & LCR_DIVISOR;

    switch (reg) {
    case DATA:
        if (divisor)
            uart->divisor[0] = value;
        else
            send(uart, value);
        break;
    case INTERRUPT_ENABLE:
        if (divisor)
            uart->divisor[1] = value;
        else
            write_interrupt_enable(uart, value);
        break;
    case FIFO_CONTROL:
        uart->fifo_enabled = value & FCR_ENABLE;
        if (value & FCR_CLEAR_RECEIVE)
            uart->fifo_count = 0;
        break;
    case LINE_CONTROL:
        uart->line_control = value;
        break;
    case MODEM_CONTROL:
        uart->modem_control = value & 0x1f;
        break;
    case SCRATCH:
        uart->scratch = value;
        break;
    default:
        break; /* the two status registers are read-only */
    }
}
