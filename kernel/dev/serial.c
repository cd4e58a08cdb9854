// The 16550 UART on COM1 as /dev/ttyS0 and the console. Sends by polling, a FIFO at a time;
// receives by IRQ 4.

#include "kernel/dev/tty.h"
#include "kernel/lib/err.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/log.h"
#include "kernel/x86/trap.h"

#define COM1 0x3f8
#define COM1_IRQ 4
#define FIFO 16

// Registers, by their names in the 16550's data sheet.
#define RBR 0 // receiver buffer (read)
#define THR 0 // transmitter holding (write)
#define IER 1
#define FCR 2
#define LCR 3
#define MCR 4
#define LSR 5
#define IER_RECEIVED 1
#define FCR_ENABLE 7 // on, both FIFOs cleared
#define LCR_8N1 3
#define MCR_DTR_RTS_OUT2 0xb // OUT2 lets the interrupt through on a PC
#define LSR_DATA_READY 1
#define LSR_THR_EMPTY 0x20

static struct tty serial_tty;

static size_t serial_write(struct tty *tty, const char *text, size_t n)
{
    for (size_t done = 0; done < n;) {
        while (!(inb(COM1 + LSR) & LSR_THR_EMPTY))
            cpu_relax();
        for (int i = 0; i < FIFO && done < n; i++)
            outb(COM1 + THR, text[done++]);
    }
    return n;
}

static const struct tty_driver serial_driver = {.write = serial_write};

static void serial_interrupt(void *arg)
{
    while (inb(COM1 + LSR) & LSR_DATA_READY) {
        char c = inb(COM1 + RBR);
        tty_input(&serial_tty, &c, 1);
    }
}

static int serial_open(struct inode *inode, struct file *f)
{
    return dev_minor(inode->rdev) == SERIAL_MINOR ? tty_open(&serial_tty, f) : -ENXIO;
}

static const struct file_ops serial_fops = {.open = serial_open};

struct tty *console_tty(void)
{
    return &serial_tty;
}

void serial_init(void)
{
    tty_setup(&serial_tty, &serial_driver, dev_make(TTY_MAJOR, SERIAL_MINOR));
    outb(COM1 + LCR, LCR_8N1);
    outb(COM1 + FCR, FCR_ENABLE);
    outb(COM1 + MCR, MCR_DTR_RTS_OUT2);
    int err = irq_register(COM1_IRQ, serial_interrupt, NULL);
    if (err)
        kprintf("ttyS0: IRQ %d: error %d: no input\n", COM1_IRQ, err);
    outb(COM1 + IER, IER_RECEIVED);
    chrdev_register(TTY_MAJOR, "ttyS", &serial_fops);
    devfs_node("ttyS0", S_IFCHR | 0620, serial_tty.rdev);
}
