// The root partition on AMD: what the hypervisor keeps for each CPU, and the way down to it.
#pragma once
#include "hv/svm/vmcb.h"

#define ROOT_ASID 1 // the children's come after it

// As svm_switch(), asked for from the root partition: the hypervisor runs the child VM.
void svm_root_switch(paddr_t guest, paddr_t host, u64 *reg);
// This CPU becomes the hypervisor's; the caller returns as the root partition's code.
void svm_root_enter_cpu(void);
