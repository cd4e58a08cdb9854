// What each CPU needs before it can run the kernel proper.
#pragma once
#include "kernel/x86/percpu.h"

// Descriptors, control registers, SYSCALL, FPU of this CPU, which becomes cpu.
void cpu_init(struct percpu *cpu);

// Logs the CPU's name and what of its protections is on.
void cpu_describe(void);
