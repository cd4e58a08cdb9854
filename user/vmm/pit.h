#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * The 8254 timer of a PC: channel 0 on IRQ 0, channel 2 on the speaker, whose gate and output are
 * in port 0x61. Modes 0, 2 and 3, the latch and read-back commands; nothing counts in BCD. Time is
 * nanoseconds of any monotonic clock, given by the caller, and a count is computed from it when
 * somebody looks: nothing here ticks. Intel 8254 data sheet.
 */

struct pit_channel {
    uint8_t mode, access; /* access: 1 low byte, 2 high byte, 3 low then high */
    bool high_next_read;  /* of a two-byte access */
    bool high_next_write;
    bool loaded, gate;
    bool count_latched, status_latched;
    uint8_t low_written, status;
    uint16_t latch;
    uint32_t reload;   /* 1-65536 */
    uint64_t start_ns; /* when the count was loaded */
    uint64_t next_ns;  /* channel 0: when the next interrupt is due; 0: none */
};

struct pit {
    struct pit_channel channel[3];
    uint8_t port61;
};

void pit_init(struct pit *pit);
/* Ports 0x40-0x43 and 0x61. */
uint8_t pit_read(struct pit *pit, uint16_t port, uint64_t now_ns);
void pit_write(struct pit *pit, uint16_t port, uint8_t value, uint64_t now_ns);

/* When channel 0 wants to interrupt next; 0: never. */
uint64_t pit_deadline(const struct pit *pit);
/* Takes one interrupt that is due, if there is one. A periodic timer that fell behind gives the
 * missed ones one by one, at most a second's worth. */
bool pit_take_tick(struct pit *pit, uint64_t now_ns);
