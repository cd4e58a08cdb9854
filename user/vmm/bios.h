#pragma once
#include "user/vmm/machine.h"

/*
 * The few BIOS services that a kernel's real-mode setup code asks for: memory sizes (INT 15h, E820
 * and 88), letters for the console (INT 10h, 0E); all others fail. Each interrupt vector points at
 * an OUT to BIOS_PORT and an IRET in the BIOS area; the monitor serves the call at the OUT.
 */

enum { BIOS_PORT = 0xb1 };

/* Writes the vectors and the stubs into guest memory. */
void bios_put(uint8_t *ram);
/* Answers the call whose OUT the vCPU stands at. */
void bios_call(struct vcpu *v);
