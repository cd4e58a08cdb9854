/* The 8259A pair. Priorities are fixed: input 0 is the highest, the slave's eight stand at the
 * master's input 2. */
#include "user/vmm/pic.h"

#include <string.h>

enum { CASCADE = 2, SPURIOUS = 7 };
enum { ICW1_INIT = 0x10, ICW1_ICW4 = 0x01, ICW4_AUTO_EOI = 0x02, OCW3 = 0x08 };

void pic_init(struct pic *pic)
{
    memset(pic, 0, sizeof(*pic));
    pic->chip[0].mask = pic->chip[1].mask = 0xff;
    pic->chip[1].vector_base = 8;
}

/* The input to serve next, or -1: a request that is not masked and is above everything in service.
 */
static int chip_next(const struct pic_chip *c)
{
    for (int i = 0; i < 8; i++) {
        if (c->service & 1 << i)
            return -1;
        if (c->request & ~c->mask & 1 << i)
            return i;
    }
    return -1;
}

static void chip_line(struct pic_chip *c, unsigned input, bool level)
{
    uint8_t bit = (uint8_t)(1 << input);

    if (level && !(c->lines & bit))
        c->request |= bit;
    if (!level)
        c->request &= (uint8_t)~bit;
    c->lines = (uint8_t)(level ? c->lines | bit : c->lines & ~bit);
}

/* The slave's output is the master's input 2; an unserved request must keep making edges there. */
static void update_cascade(struct pic *pic)
{
    bool up = chip_next(&pic->chip[1]) >= 0;

    chip_line(&pic->chip[0], CASCADE, up);
    if (up)
        pic->chip[0].request |= 1 << CASCADE;
}

void pic_line(struct pic *pic, unsigned irq, bool level)
{
    chip_line(&pic->chip[irq / 8 & 1], irq % 8, level);
    update_cascade(pic);
}

void pic_pulse(struct pic *pic, unsigned irq)
{
    pic->chip[irq / 8 & 1].request |= (uint8_t)(1 << irq % 8);
    update_cascade(pic);
}

bool pic_requested(const struct pic *pic, unsigned irq)
{
    return pic->chip[irq / 8 & 1].request & 1 << irq % 8;
}

bool pic_pending(const struct pic *pic)
{
    return chip_next(&pic->chip[0]) >= 0;
}

static uint8_t chip_acknowledge(struct pic_chip *c)
{
    int input = chip_next(c);

    if (input < 0)
        return (uint8_t)(c->vector_base + SPURIOUS);
    c->request &= (uint8_t) ~(1 << input);
    if (!c->auto_eoi)
        c->service |= (uint8_t)(1 << input);
    return (uint8_t)(c->vector_base + input);
}

uint8_t pic_acknowledge(struct pic *pic)
{
    bool slave = chip_next(&pic->chip[0]) == CASCADE;
    uint8_t vector = chip_acknowledge(&pic->chip[0]);

    if (slave)
        vector = chip_acknowledge(&pic->chip[1]);
    update_cascade(pic);
    return vector;
}

static void write_icw1(struct pic_chip *c, uint8_t value)
{
    c->request = c->service = c->mask = 0;
    c->lines = 0;
    c->auto_eoi = c->read_service = false;
    c->wants_icw4 = value & ICW1_ICW4;
    c->init_step = 2;
}

static void write_eoi(struct pic_chip *c, uint8_t value)
{
    bool specific = value & 0x40, eoi = value & 0x20;

    if (!eoi)
        return;
    if (specific)
        c->service &= (uint8_t) ~(1 << (value & 7));
    else
        c->service &=
            (uint8_t)(c->service - 1); /* drops the lowest bit set: the highest priority */
}

static void write_data(struct pic_chip *c, uint8_t value)
{
    switch (c->init_step) {
    case 2:
        c->vector_base = value & 0xf8;
        c->init_step = 3;
        break;
    case 3:
        c->init_step = c->wants_icw4 ? 4 : 0;
        break;
    case 4:
        c->auto_eoi = value & ICW4_AUTO_EOI;
        c->init_step = 0;
        break;
    default:
        c->mask = value;
    }
}

void pic_write(struct pic *pic, uint16_t port, uint8_t value)
{
    struct pic_chip *c = &pic->chip[(port & 0x80) != 0];

    if (port & 1)
        write_data(c, value);
    else if (value & ICW1_INIT)
        write_icw1(c, value);
    else if (!(value & OCW3))
        write_eoi(c, value);
    else if (value & 2)
        c->read_service = value & 1;
    update_cascade(pic);
}

uint8_t pic_read(struct pic *pic, uint16_t port)
{
    const struct pic_chip *c = &pic->chip[(port & 0x80) != 0];

    if (port & 1)
        return c->mask;
    return c->read_service ? c->service : c->request;
}
