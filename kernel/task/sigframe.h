// The frame that a signal handler runs on, as Linux lays it out on x86-64: programs and their C
// libraries know it.
#pragma once
#include "kernel/task/signal.h"

struct trapframe;

// Writes the frame to the user's stack (or the alternate one) and makes tf enter the handler. 0, or
// -EFAULT without room.
int sigframe_push(struct trapframe *tf, int sig, const siginfo_t *info,
                  const struct ksigaction *act, u64 old_mask);
// rt_sigreturn(2): takes registers, FPU state, mask and alternate stack from the frame. 0 or
// -EFAULT.
int sigframe_pop(struct trapframe *tf);
// sigaltstack(2) while the handler runs with stack pointer sp.
bool on_altstack(u64 sp);
