// x87, SSE and AVX state, saved eagerly with XSAVE (FXSAVE where there is no XSAVE). The kernel
// itself uses none of it.
#pragma once
#include "kernel/lib/types.h"

#define FPU_STATE_MAX 4096

struct fpu_state {
    u8 bytes[FPU_STATE_MAX] __aligned(64);
};

// Sets CR0, CR4 and XCR0 on this CPU.
void fpu_init_cpu(void);
// The reset state of a new program (FCW 0x37f, MXCSR 0x1f80).
void fpu_state_init(struct fpu_state *s);
void fpu_save(struct fpu_state *s);
// Loads a state that fpu_save wrote or fpu_validate accepted.
void fpu_restore(const struct fpu_state *s);
// Bytes of the state that are in use on this CPU model, for signal frames.
size_t fpu_state_size(void);
// Makes a state that user space or a guest monitor wrote safe to load (MXCSR reserved bits,
// XSTATE_BV); false if it cannot.
bool fpu_validate(struct fpu_state *s);
// Which unmasked floating point errors the current task has raised: the exception bits of the x87
// status word (vector #MF) or of MXCSR (#XM), in their common order (SDM 1, 8.1.3.3 and 10.2.3).
u32 fpu_raised(u8 vector);
// The XCR0 that the host runs with, 0 without XSAVE.
u64 fpu_xcr0(void);
