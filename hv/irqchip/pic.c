// The two 8259A interrupt controllers, the slave on input 2 of the master: Intel 8259A data sheet;
// edge or level triggering for each input by the ELCR registers (Intel 82371SB, 4.2.4).

#include "hv/irqchip/irqchip.h"

#define CASCADE 2
#define NO_RANK 8
#define SPURIOUS 7

// The rank of the first of `bits` in the rotating order of priorities, 0 the highest.
static unsigned best_rank(const struct kvm_pic_state *s, u8 bits)
{
    unsigned rank = 0;

    while (rank < NO_RANK && !(bits >> ((rank + s->priority_add) & 7) & 1))
        rank++;
    return rank;
}

// The input whose request goes through now, -1 for none.
static int requested(const struct irqchip *c, int chip)
{
    const struct kvm_pic_state *s = &c->pic[chip];
    unsigned rank = best_rank(s, s->irr & ~s->imr);
    u8 serving = s->isr;

    if (s->special_mask)
        serving &= ~s->imr;
    if (s->special_fully_nested_mode && chip == 0)
        serving &= ~BIT(CASCADE);
    if (rank == NO_RANK || rank >= best_rank(s, serving))
        return -1;
    return (rank + s->priority_add) & 7;
}

static int set_input(struct kvm_pic_state *s, unsigned pin, bool level)
{
    u8 bit = 1 << pin;
    bool by_level = s->elcr & bit, rises = level && !(s->last_irr & bit), fresh = true;

    if (rises || (level && by_level)) {
        fresh = !(s->irr & bit);
        s->irr |= bit;
    } else if (!level && by_level) {
        s->irr &= ~bit;
    }
    s->last_irr = level ? s->last_irr | bit : s->last_irr & ~bit;
    return s->imr & bit ? -1 : fresh;
}

void pic_update(struct irqchip *c)
{
    if (requested(c, 1) >= 0) {
        set_input(&c->pic[0], CASCADE, true);
        set_input(&c->pic[0], CASCADE, false);
    }
    bool was = c->pic_output;
    c->pic_output = requested(c, 0) >= 0;
    for (int i = 0; i < HV_MAX_VCPUS && c->pic_output && !was; i++) {
        if (c->vm->vcpu[i] && irqchip_accepts_pic(c->vm->vcpu[i]))
            vcpu_kick(c->vm->vcpu[i]);
    }
}

int pic_set_pin(struct irqchip *c, unsigned pin, enum irq_source source, bool level)
{
    u8 *lines = &c->pic_lines[pin];

    *lines = level ? *lines | BIT(source) : *lines & ~BIT(source);
    int status = set_input(&c->pic[pin / 8], pin % 8, *lines);
    pic_update(c);
    return status;
}

static void end_of_interrupt(struct irqchip *c, int chip, unsigned pin)
{
    c->pic[chip].isr &= ~BIT(pin);
    irqchip_acked(c, chip ? KVM_IRQCHIP_PIC_SLAVE : KVM_IRQCHIP_PIC_MASTER, pin);
}

static void acknowledge(struct irqchip *c, int chip, unsigned pin)
{
    struct kvm_pic_state *s = &c->pic[chip];

    s->isr |= BIT(pin);
    if (!(s->elcr & BIT(pin)))
        s->irr &= ~BIT(pin);
    if (!s->auto_eoi)
        return;
    if (s->rotate_on_auto_eoi)
        s->priority_add = (pin + 1) & 7;
    end_of_interrupt(c, chip, pin);
}

// A request that has gone before the cycle gives input 7's vector with nothing in service.
u8 pic_acknowledge(struct irqchip *c)
{
    int pin = requested(c, 0), chip = 0;

    if (pin >= 0)
        acknowledge(c, 0, pin);
    if (pin == CASCADE) {
        chip = 1;
        pin = requested(c, 1);
        if (pin >= 0)
            acknowledge(c, 1, pin);
    }
    u8 vector = c->pic[chip].irq_base + (pin >= 0 ? pin : SPURIOUS);
    pic_update(c);
    return vector;
}

// ICW1: what the data sheet says to happen, and no request of an edge survives.
static void initialise(struct irqchip *c, int chip, u8 icw1)
{
    struct kvm_pic_state *s = &c->pic[chip];
    u8 lost = s->irr & ~s->elcr;

    s->last_irr = s->isr = s->imr = s->priority_add = s->special_mask = 0;
    s->read_reg_select = s->poll = 0;
    s->irr &= s->elcr;
    s->init4 = icw1 & 1;
    if (!s->init4)
        s->special_fully_nested_mode = s->auto_eoi = 0;
    s->init_state = 1;
    for (unsigned pin = 0; pin < 8; pin++) {
        if (lost & BIT(pin))
            end_of_interrupt(c, chip, pin);
    }
}

// OCW2: ends of interrupt and rotation of priorities.
static void operate(struct irqchip *c, int chip, u8 value)
{
    struct kvm_pic_state *s = &c->pic[chip];
    bool rotate = value & 0x80, specific = value & 0x40, eoi = value & 0x20;
    unsigned pin = value & 7;

    if (!specific && !eoi) {
        s->rotate_on_auto_eoi = rotate;
        return;
    }
    if (!specific) {
        unsigned rank = best_rank(s, s->isr);
        if (rank == NO_RANK)
            return;
        pin = (rank + s->priority_add) & 7;
    }
    if (rotate)
        s->priority_add = (pin + 1) & 7;
    if (eoi)
        end_of_interrupt(c, chip, pin);
}

static void write_command(struct irqchip *c, int chip, u8 value)
{
    struct kvm_pic_state *s = &c->pic[chip];

    if (value & 0x10) {
        initialise(c, chip, value);
    } else if (value & 0x08) { // OCW3
        if (value & 0x04)
            s->poll = 1;
        if (value & 0x02)
            s->read_reg_select = value & 1;
        if (value & 0x40)
            s->special_mask = value >> 5 & 1;
    } else {
        operate(c, chip, value);
    }
}

static void write_mask(struct irqchip *c, int chip, u8 value)
{
    u8 opened = c->pic[chip].imr & ~value;

    c->pic[chip].imr = value;
    for (unsigned pin = 0; pin < 8; pin++) {
        if (opened & BIT(pin))
            irqchip_unmasked(c, chip ? KVM_IRQCHIP_PIC_SLAVE : KVM_IRQCHIP_PIC_MASTER, pin);
    }
}

// The data port: ICW2 to ICW4 while they are expected, else the mask.
static void write_data(struct irqchip *c, int chip, u8 value)
{
    struct kvm_pic_state *s = &c->pic[chip];

    switch (s->init_state) {
    case 0:
        write_mask(c, chip, value);
        break;
    case 1:
        s->irq_base = value & 0xf8;
        s->init_state = 2;
        break;
    case 2:
        s->init_state = s->init4 ? 3 : 0;
        break;
    default:
        s->special_fully_nested_mode = value >> 4 & 1;
        s->auto_eoi = value >> 1 & 1;
        s->init_state = 0;
        break;
    }
}

// The poll command makes the next read an acknowledge cycle.
static u8 poll(struct irqchip *c, int chip)
{
    int pin = requested(c, chip);

    c->pic[chip].poll = 0;
    if (pin < 0)
        return 0;
    acknowledge(c, chip, pin);
    pic_update(c);
    return 0x80 | pin;
}

static u8 read(struct irqchip *c, int chip, bool data)
{
    const struct kvm_pic_state *s = &c->pic[chip];

    if (s->poll)
        return poll(c, chip);
    return data ? s->imr : s->read_reg_select ? s->isr : s->irr;
}

bool pic_port(struct irqchip *c, bool in, u16 port, u8 *value)
{
    int chip = port == 0x4d0 || port == 0x4d1 ? port & 1 : port >> 7;
    bool data = port & 1;

    switch (port) {
    case 0x20:
    case 0x21:
    case 0xa0:
    case 0xa1:
        if (in)
            *value = read(c, chip, data);
        else if (data)
            write_data(c, chip, *value);
        else
            write_command(c, chip, *value);
        break;
    case 0x4d0:
    case 0x4d1:
        if (in)
            *value = c->pic[chip].elcr;
        else
            c->pic[chip].elcr = *value & c->pic[chip].elcr_mask;
        break;
    default:
        return false;
    }
    if (!in)
        pic_update(c);
    return true;
}

void pic_init(struct irqchip *c)
{
    c->pic[0].elcr_mask = 0xf8; // inputs 0-2 are the PC's own: timer, keyboard, cascade
    c->pic[1].elcr_mask = 0xde; // and 8 and 13: clock, coprocessor
}
