// The machine's end: off, or from the start again.
#pragma once
#include "kernel/lib/types.h"

// Ends the machine by each way that an emulator knows, then halts. `status`: what QEMU's
// isa-debug-exit gets (its exit status is 2 * status + 1); 0 is a regular end, 1 a panic. Any
// context.
void __noreturn power_off(unsigned status);

// Starts the machine again through the keyboard controller, the PCI reset port or a triple fault.
// Any context.
void __noreturn machine_reboot(void);
