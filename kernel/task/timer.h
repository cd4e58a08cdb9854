// Kernel timers: a function called at a time, with the kernel lock held, from the timer interrupt;
// must not sleep.
#pragma once
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

struct ktimer {
    u64 deadline_ns;
    void (*fn)(struct ktimer *t);
    struct list link; // in deadline order
    bool armed;
};

void ktimer_set(struct ktimer *t, u64 deadline_ns,
                void (*fn)(struct ktimer *t)); // re-arms if armed
void ktimer_cancel(struct ktimer *t);
