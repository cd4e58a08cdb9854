// The 16550 UARTs: COM1 as /dev/ttyS0 and the console, COM2 as /dev/ttyS1 if it is there and the
// kernel's log does not go to it. Sends by polling, a FIFO at a time; receives by interrupts. What
// comes in on COM2 while nobody has it open is lost, as on Linux.

#include "kernel/dev/tty.h"
#include "kernel/lib/err.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/log.h"
#include "kernel/x86/trap.h"

#define FIFO 16
#define AT_ONCE 64 // characters handed to the line discipline together

// Registers, by their names in the 16550's data sheet.
#define RBR 0 // receiver buffer (read)
#define THR 0 // transmitter holding (write)
#define IER 1
#define FCR 2
#define LCR 3
#define MCR 4
#define LSR 5
#define IER_RECEIVED 1
#define FCR_ENABLE                                                                                 \
    0xc7 // on, both FIFOs cleared; an interrupt for 14 characters, or a few for a while
#define LCR_8N1 3
#define LCR_DIVISOR 0x80     // RBR and IER are the divisor's halves
#define MCR_DTR_RTS_OUT2 0xb // OUT2 lets the interrupt through on a PC
#define LSR_DATA_READY 1
#define LSR_THR_EMPTY 0x20
#define LSR_NO_UART 0xff // nothing is at these ports

struct serial {
    const char *name;
    u16 port;
    u8 irq;
    bool there;
    struct tty tty;
};

static struct serial serials[] = {
    {.name = "ttyS0", .port = 0x3f8, .irq = 4},
    {.name = "ttyS1", .port = 0x2f8, .irq = 3},
};

static size_t serial_write(struct tty *tty, const char *text, size_t n)
{
    const struct serial *s = tty->private;

    for (size_t done = 0; done < n;) {
        while (!(inb(s->port + LSR) & LSR_THR_EMPTY))
            cpu_relax();
        for (int i = 0; i < FIFO && done < n; i++)
            outb(s->port + THR, text[done++]);
    }
    return n;
}

static const struct tty_driver serial_driver = {.write = serial_write};

static void serial_interrupt(void *arg)
{
    struct serial *s = arg;
    char text[AT_ONCE];
    size_t n;

    do {
        for (n = 0; n < AT_ONCE && inb(s->port + LSR) & LSR_DATA_READY; n++)
            text[n] = inb(s->port + RBR);
        if (s == serials || s->tty.opens)
            tty_input(&s->tty, text, n);
    } while (n == AT_ONCE);
}

static int serial_open(struct inode *inode, struct file *f)
{
    u32 i = dev_minor(inode->rdev) - SERIAL_MINOR;

    return i < ARRAY_SIZE(serials) && serials[i].there ? tty_open(&serials[i].tty, f) : -ENXIO;
}

static const struct file_ops serial_fops = {.open = serial_open};

struct tty *console_tty(void)
{
    return &serials[0].tty;
}

static void start(struct serial *s, u32 minor)
{
    s->there = true;
    tty_setup(&s->tty, &serial_driver, dev_make(TTY_MAJOR, minor));
    s->tty.private = s;
    outb(s->port + LCR, LCR_DIVISOR | LCR_8N1);
    outb(s->port + RBR, 1); // 115200 baud
    outb(s->port + IER, 0);
    outb(s->port + LCR, LCR_8N1);
    outb(s->port + FCR, FCR_ENABLE);
    outb(s->port + MCR, MCR_DTR_RTS_OUT2);
    int err = irq_register(s->irq, serial_interrupt, s);
    if (err)
        kprintf("%s: IRQ %d: error %d: no input\n", s->name, s->irq, err);
    outb(s->port + IER, IER_RECEIVED);
    devfs_node(s->name, S_IFCHR | 0620, s->tty.rdev);
}

void serial_init(void)
{
    chrdev_register(TTY_MAJOR, "ttyS", &serial_fops);
    start(&serials[0], SERIAL_MINOR);
    if (log_port() != serials[1].port && inb(serials[1].port + LSR) != LSR_NO_UART)
        start(&serials[1], SERIAL_MINOR + 1);
}
