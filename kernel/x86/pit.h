// The 8254 interval timer (Intel 8254 data sheet): what time is measured against, and the timer
// where there is no APIC.
#pragma once
#include "kernel/lib/types.h"

#define PIT_HZ 1193182UL

// Starts channel 2 (the speaker's, silent) counting down from 65535.
void pit_start_count(void);
// What is left of it; after its end the count goes on from 65535.
u16 pit_read_count(void);
bool pit_count_ended(void);
// Interrupt on IRQ 0 after `count` ticks (1..65535), once.
void pit_one_shot(u16 count);
