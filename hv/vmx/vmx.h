// The Intel backend's own: what a vCPU has there.
#pragma once
#include "hv/hv.h"
#include "hv/root.h"
#include "hv/vmx/vmcs.h"

// The VMX instructions. In the root partition the hypervisor below executes them.
static inline u64 vmx_hypercall(enum root_hypercall call, u64 a, u64 b)
{
    u64 result = call;

    asm volatile("vmcall" : "+a"(result) : "D"(a), "S"(b) : "memory", "cc");
    return result;
}

static inline u64 vmread(u64 field)
{
    return root_partition ? vmx_hypercall(ROOT_VMREAD, field, 0) : cpu_vmread(field);
}

static inline void vmwrite(u64 field, u64 value)
{
    if (root_partition)
        vmx_hypercall(ROOT_VMWRITE, field, value);
    else
        cpu_vmwrite(field, value);
}

static inline void vmclear(paddr_t vmcs)
{
    if (root_partition)
        vmx_hypercall(ROOT_VMCLEAR, vmcs, 0);
    else
        cpu_vmclear(vmcs);
}

static inline void vmptrld(paddr_t vmcs)
{
    if (root_partition)
        vmx_hypercall(ROOT_VMPTRLD, vmcs, 0);
    else
        cpu_vmptrld(vmcs);
}

static inline void invept(u64 eptp)
{
    if (root_partition)
        vmx_hypercall(ROOT_INVEPT, eptp, 0);
    else
        cpu_invept(eptp);
}

struct vmx_vcpu {
    void *vmcs;
    bool current; // it is the current VMCS of this CPU (between load and put)
    bool launched, cleared;
    u64 eptp;
    u64 star, lstar, cstar, sfmask, kernel_gs_base; // the guest's, while the host's are in the CPU
    u64 cr2;
    u32 entry_controls;
    bool pdptes_stale; // paging structures changed behind the CPU's back: PAE entries must be read
                       // again
    u64 failure;       // VM-instruction error of the last entry, 0 for none
};

static inline struct vmx_vcpu *vmx_of(struct vcpu *v)
{
    return v->vendor;
}

// Makes the vCPU's VMCS current for a moment where it is not; `end` undoes what `begin` did.
bool vmx_begin(struct vcpu *v);
void vmx_end(struct vcpu *v, bool begun);

// vmx.c: turns VT-x on for this CPU, for good; the region is VMXON's page.
void vmx_cpu_enable(void *region);
// What the CPU loads at a VM exit, into the current VMCS: this kernel, as it is on this CPU (SDM
// 3C, 24.5).
void vmx_write_host_state(void);
// root.c: late launch.
void vmx_root_enter_cpu(void);

// controls.c: fills in what never changes.
const char *vmx_controls_probe(void);
void vmx_controls_init(struct vcpu *v);
// Those of the root partition, into the current VMCS: hardly anything exits.
void vmx_root_controls(u64 eptp, paddr_t msr_bitmap);

// state.c
void vmx_vcpu_reset(struct vcpu *v);
void vmx_get_mode(struct vcpu *v, struct hv_mode *m);
void vmx_get_sregs(struct vcpu *v, struct kvm_sregs *s);
int vmx_set_sregs(struct vcpu *v, const struct kvm_sregs *s);
int vmx_get_msr(struct vcpu *v, u32 msr, u64 *value);
int vmx_set_msr(struct vcpu *v, u32 msr, u64 value);
void vmx_set_cr0(struct vcpu *v, u64 cr0); // the VMCS is current
void vmx_set_cr4(struct vcpu *v, u64 cr4);
void vmx_set_efer(struct vcpu *v, u64 efer);
u64 vmx_get_cr0(void);
u64 vmx_get_cr4(void);
void vmx_load_pdptes(struct vcpu *v); // may sleep; the VMCS is not current

// exits.c
void vmx_decode_exit(struct vcpu *v);
