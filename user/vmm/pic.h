#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * The pair of 8259A interrupt controllers of a PC: master at 0x20, slave at 0xa0 cascaded to its
 * input 2. Fully nested mode, edge triggered, specific and non-specific end of interrupt, automatic
 * EOI. Intel 8259A data sheet.
 */

struct pic_chip {
    uint8_t request, service, mask; /* IRR, ISR, IMR */
    uint8_t lines;                  /* level of the inputs, for edges */
    uint8_t vector_base;
    uint8_t init_step; /* the next ICW expected at the data port: 2, 3, 4; 0: none */
    bool wants_icw4, auto_eoi, read_service;
};

struct pic {
    struct pic_chip chip[2];
};

void pic_init(struct pic *pic);
uint8_t pic_read(struct pic *pic, uint16_t port);
void pic_write(struct pic *pic, uint16_t port, uint8_t value);

/* Sets the level of input 0-15. A rising edge makes a request. */
void pic_line(struct pic *pic, unsigned irq, bool level);
/* A short pulse on an input, as the timer makes. */
void pic_pulse(struct pic *pic, unsigned irq);
/* Whether a request on the input waits to be taken. */
bool pic_requested(const struct pic *pic, unsigned irq);
/* Whether the INT output is up. */
bool pic_pending(const struct pic *pic);
/* The interrupt acknowledge cycle: the vector, and the request becomes in service. */
uint8_t pic_acknowledge(struct pic *pic);
