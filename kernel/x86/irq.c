// Device interrupts. Lines are named by ISA number everywhere; where they end in the hardware is
// decided here.
#include "kernel/x86/irq.h"

#include <linux/errno.h>

#include "kernel/x86/acpi.h"
#include "kernel/x86/apic.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/log.h"
#include "kernel/x86/paging.h"
#include "kernel/x86/trap.h"

// 8259 (Intel 8259A data sheet): initialisation words and commands.
#define PIC1 0x20
#define PIC2 0xa0
#define PIC_DATA 1
#define ICW1 0x11 // edge triggered, cascade, ICW4 follows
#define ICW4 0x01 // 8086 mode
#define CASCADE_LINE 2
#define EOI 0x20
#define READ_ISR 0x0b

// 82093AA I/O APIC.
#define IOAPIC_SELECT 0
#define IOAPIC_WINDOW 0x10
#define IOAPIC_VERSION 1
#define IOAPIC_REDIRECTION 0x10
#define REDIRECTION_LOW_ACTIVE BIT(13)
#define REDIRECTION_LEVEL BIT(15)
#define REDIRECTION_MASKED BIT(16)

static struct {
    void (*fn)(void *arg);
    void *arg;
    u64 count;
} handlers[ISA_IRQS];

static volatile u8 *ioapic;
static u16 pic_mask = 0xffff & ~(1 << CASCADE_LINE);

static void ioapic_write(u32 reg, u32 value)
{
    *(volatile u32 *)(ioapic + IOAPIC_SELECT) = reg;
    *(volatile u32 *)(ioapic + IOAPIC_WINDOW) = value;
}

static u32 ioapic_read(u32 reg)
{
    *(volatile u32 *)(ioapic + IOAPIC_SELECT) = reg;
    return *(volatile u32 *)(ioapic + IOAPIC_WINDOW);
}

static void pic_set_mask(u16 mask)
{
    outb(PIC1 + PIC_DATA, (u8)mask);
    outb(PIC2 + PIC_DATA, (u8)(mask >> 8));
}

void irq_quiet(void)
{
    outb(PIC1, ICW1);
    outb(PIC2, ICW1);
    outb(PIC1 + PIC_DATA, VEC_IRQ_BASE);
    outb(PIC2 + PIC_DATA, VEC_IRQ_BASE + 8);
    outb(PIC1 + PIC_DATA, 1 << CASCADE_LINE);
    outb(PIC2 + PIC_DATA, CASCADE_LINE);
    outb(PIC1 + PIC_DATA, ICW4);
    outb(PIC2 + PIC_DATA, ICW4);
    pic_set_mask(pic_mask);
}

void irq_init(void)
{
    if (!apic_present())
        return;
    ioapic = mmio_map(madt.ioapic, PAGE_SIZE);
    u32 last = ioapic_read(IOAPIC_VERSION) >> 16 & 0xff;
    for (u32 i = 0; i <= last; i++)
        ioapic_write(IOAPIC_REDIRECTION + 2 * i, REDIRECTION_MASKED);
}

static void unmask(unsigned irq)
{
    if (!ioapic) {
        pic_mask &= ~(1 << irq);
        pic_set_mask(pic_mask);
        return;
    }
    u32 pin = madt.isa[irq].gsi - madt.gsi_base;
    u32 low = (VEC_IRQ_BASE + irq) | (madt.isa[irq].level ? REDIRECTION_LEVEL : 0) |
              (madt.isa[irq].low ? REDIRECTION_LOW_ACTIVE : 0);
    ioapic_write(IOAPIC_REDIRECTION + 2 * pin + 1, madt.apic_id[0] << 24);
    ioapic_write(IOAPIC_REDIRECTION + 2 * pin, low);
}

int irq_register(unsigned irq, void (*fn)(void *arg), void *arg)
{
    if (irq >= ISA_IRQS)
        return -EINVAL;
    if (handlers[irq].fn)
        return -EBUSY;
    handlers[irq].fn = fn;
    handlers[irq].arg = arg;
    unmask(irq);
    return 0;
}

// An 8259 raises its lowest line when the request is gone before the CPU asks: then its in-service
// bit is clear.
static bool pic_spurious(unsigned irq)
{
    u16 pic = irq == 15 ? PIC2 : PIC1;

    if (irq != 7 && irq != 15)
        return false;
    outb(pic, READ_ISR);
    if (inb(pic) & 0x80)
        return false;
    if (irq == 15)
        outb(PIC1, EOI); // the cascade line was real
    return true;
}

static void acknowledge(unsigned irq)
{
    if (ioapic) {
        apic_eoi();
        return;
    }
    if (irq >= 8)
        outb(PIC2, EOI);
    outb(PIC1, EOI);
}

void irq_dispatch(u64 vector)
{
    unsigned irq = vector - VEC_IRQ_BASE;

    if (irq < ISA_IRQS) {
        if (!ioapic && pic_spurious(irq))
            return;
        acknowledge(irq);
        handlers[irq].count++;
        if (handlers[irq].fn)
            handlers[irq].fn(handlers[irq].arg);
        return;
    }
    if (vector == VEC_SPURIOUS)
        return;
    apic_eoi();
    if (vector == VEC_TIMER)
        clock_interrupt();
    else if (vector != VEC_RESCHED)
        kprintf("irq: nobody wants vector 0x%lx\n", vector);
}

u64 irq_count(unsigned irq)
{
    return irq < ISA_IRQS ? handlers[irq].count : 0;
}
