// The kernel log: a ring of text and a 16550 that shows it.
//
// The log has a lock of its own, below the kernel lock, so that it works in any context. A CPU that
// finds it held by itself (a panic in the middle of kprintf, an NMI) goes on without it: torn text
// is better than a dead machine.
#include "kernel/x86/log.h"

#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/percpu.h"

#define RING_SIZE 131072
#define LINE_MAX 512
#define NO_CPU UINT32_MAX

#define UART_DATA 0
#define UART_IER 1
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define LCR_8N1 3
#define LCR_DLAB 0x80
#define FCR_ENABLE_CLEAR 7
#define MCR_DTR_RTS_OUT2 0x0b
#define LSR_THRE 0x20
#define SEND_PATIENCE 1000000 // polls, then the byte is given up

static char ring[RING_SIZE];
static u64 ring_end; // bytes ever written
static u16 port;
static u32 owner = NO_CPU;

static bool log_lock(void)
{
    u32 me = this_cpu()->id, free = NO_CPU;

    if (__atomic_load_n(&owner, __ATOMIC_RELAXED) == me)
        return false;
    while (!__atomic_compare_exchange_n(&owner, &free, me, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        free = NO_CPU;
        cpu_relax();
    }
    return true;
}

static void log_unlock(bool taken)
{
    if (taken)
        __atomic_store_n(&owner, NO_CPU, __ATOMIC_RELEASE);
}

static void send(char c)
{
    for (int i = 0; i < SEND_PATIENCE && !(inb(port + UART_LSR) & LSR_THRE); i++)
        cpu_relax();
    outb(port + UART_DATA, c);
}

void log_raw(const char *text, size_t len)
{
    for (size_t i = 0; port && i < len; i++) {
        if (text[i] == '\n')
            send('\r');
        send(text[i]);
    }
}

void log_set_port(u16 new_port)
{
    port = new_port;
    outb(port + UART_IER, 0);
    outb(port + UART_LCR, LCR_DLAB | LCR_8N1);
    outb(port + UART_DATA, 1); // divisor 1: 115200 baud
    outb(port + UART_IER, 0);
    outb(port + UART_LCR, LCR_8N1);
    outb(port + UART_FCR, FCR_ENABLE_CLEAR);
    outb(port + UART_MCR, MCR_DTR_RTS_OUT2);
}

u16 log_port(void)
{
    return port;
}

static void ring_write(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ring[ring_end++ % RING_SIZE] = text[i];
}

void kprintf(const char *fmt, ...)
{
    char line[LINE_MAX];
    u64 ns = clock_ns();
    va_list ap;

    int stamp = snprintf(line, sizeof(line), "[%5lu.%06lu] ", ns / NSEC_PER_SEC,
                         ns % NSEC_PER_SEC / NSEC_PER_USEC);
    va_start(ap, fmt);
    int len = stamp + vsnprintf(line + stamp, sizeof(line) - stamp, fmt, ap);
    va_end(ap);
    if (len > LINE_MAX - 1) {
        len = LINE_MAX - 1;
        line[len - 1] = '\n';
    }
    u64 flags = read_flags();
    cli();
    bool taken = log_lock();
    ring_write(line, len);
    log_raw(line, len);
    log_unlock(taken);
    if (flags & RFLAGS_IF)
        sti();
}

size_t log_read(u64 *pos, char *buf, size_t size)
{
    size_t n = 0;
    bool taken = log_lock();

    if (ring_end > RING_SIZE && *pos < ring_end - RING_SIZE)
        *pos = ring_end - RING_SIZE;
    while (n < size && *pos < ring_end)
        buf[n++] = ring[(*pos)++ % RING_SIZE];
    log_unlock(taken);
    return n;
}
