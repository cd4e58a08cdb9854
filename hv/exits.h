// Exits that go to user space, and what completes them. Each returns RESUME, 0 or -errno, as
// handle_exit does.
#pragma once
#include "hv/decode.h"
#include "hv/hv.h"

int exit_io(struct vcpu *v); // io.c
int complete_io(struct vcpu *v);
int exit_mmio(
    struct vcpu *v); // mmio.c: v->exit.fault is outside the slots, or a write to a read-only one
int complete_mmio(struct vcpu *v);

// KVM_EXIT_INTERNAL_ERROR with KVM_INTERNAL_ERROR_* and one word of data; #UD for what the guest's
// user mode did.
int exit_internal_error(struct vcpu *v, u32 suberror, u64 data);
// Reads and decodes the instruction at CS:RIP. 0, -EFAULT (it cannot be read), -EINVAL (not known).
int fetch_instruction(struct vcpu *v, struct decoded *d);
void inject_page_fault(struct vcpu *v, u64 gva, u32 error);
// The base of a segment, by its number in the instruction encoding (SDM 2, 3.1.1.3); 0 for those
// that 64-bit code ignores.
#define SEGMENT_ES 0
#define SEGMENT_DS 3
#define SEGMENT_FS 4
u64 segment_base(struct vcpu *v, u8 segment);
// Whether a guest may have this in CR4: only bits that it and the CPU know, and PAE in long mode.
bool guest_cr4_valid(u64 cr4, u64 efer);
