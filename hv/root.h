// Late launch: the running kernel goes on as the code of a virtual machine of its own, the root
// partition, above a hypervisor of a few hundred lines that keeps to itself. This is the shape of
// Hyper-V: the parent partition has the devices and makes the child VMs, the hypervisor alone
// switches worlds. docs/lectures/late-launch.md.
#pragma once
#include "kernel/lib/types.h"

// What the root partition asks of the hypervisor, from ring 0: RAX, with operands in RDI and RSI.
enum root_hypercall {
    ROOT_RUN = 1, // runs a child VM until its next exit
    // Intel: VMX instructions for the child's VMCS.
    ROOT_VMREAD,
    ROOT_VMWRITE,
    ROOT_VMCLEAR,
    ROOT_VMPTRLD,
    ROOT_INVEPT,
};

extern bool root_partition; // this kernel runs in guest mode, all CPUs of it that have started
extern paddr_t root_nested; // the root partition's nested page table

// With viv.root=guest on the command line: sets the hypervisor's memory aside and builds the nested
// page table. Boot CPU, after hv_init().
void root_init(void);
// This CPU goes on in the root partition, if root_init() made one. Interrupts off.
void root_enter_cpu(void);
// Zeroed pages of the hypervisor's own memory; panics when there are no more. Before the launch.
void *root_alloc(unsigned pages);
// True if [pa, pa + size) touches the hypervisor's own memory.
bool root_owns(paddr_t pa, u64 size);
// CPUID as the root partition sees it: the machine's, and the hypervisor's name. reg in encoding
// order.
void root_cpuid(u64 *reg);

struct root_entry {
    u64 rsp, rip;
};

// root_launch.S: leaves in *entry where the caller goes on as the root partition's code, and calls
// loop(r) on the stack that ends at `stack`. It returns when *entry is run.
void root_launch(void *r, struct root_entry *entry, void *stack, void (*loop)(void *r));
