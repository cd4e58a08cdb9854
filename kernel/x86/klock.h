// The kernel lock: one lock, held by a CPU (not by a task) whenever it runs kernel code, with
// interrupts off.
//
// Entry from user mode, guest mode or idle takes it; the way back drops it. A context switch passes
// it on to the next task on that CPU. So kernel code is atomic unless it calls a function
// documented "sleeps", and a sleeper cannot miss its wake-up. What does not take it: the TLB
// shoot-down IPI, panic, and the log's own output.
#pragma once
#include "kernel/lib/types.h"

// Takes the lock. Interrupts are off. Answers TLB shoot-downs while it waits. No order among those
// who wait.
void klock_acquire(void);
void klock_release(void);
// True if this CPU holds the lock.
bool klock_held(void);
