#pragma once
#include <stdint.h>

/*
 * The MC146818 clock and its CMOS memory at ports 0x70 and 0x71. The time is the host's, UTC, in
 * BCD and 24 hours; an update is never in progress. Alarms and periodic interrupts are not there.
 */

struct cmos {
    uint8_t index;
    uint8_t memory[128];
};

/* The memory size goes to the bytes where a PC's BIOS keeps it; so do what a BIOS looks for, the
 * number of processors and the boot device. */
void cmos_init(struct cmos *cmos, uint64_t memory_size, unsigned cpus);
uint8_t cmos_read(struct cmos *cmos, uint16_t port);
void cmos_write(struct cmos *cmos, uint16_t port, uint8_t value);
