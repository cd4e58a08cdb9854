// The hypervisor below the root partition on AMD: one loop a CPU. All interrupts and devices are
// the root partition's; it comes here for CPUID, to run a child VM, and when it does what is not
// its business.

#include "hv/svm/root.h"

#include "hv/root.h"
#include "hv/svm/svm.h"
#include "kernel/lib/string.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/descriptors.h"
#include "kernel/x86/log.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/trap.h"

#define ATTRIBUTES_CODE 0xa9b // type 11, S, P, L, G: APM 2, 15.5.1
#define ATTRIBUTES_DATA 0xc93
#define STACK_PAGES 3

struct svm_root {
    struct vmcb vmcb, host;
    u8 save_area[PAGE_SIZE];           // VM_HSAVE_PA
    u8 stack[STACK_PAGES * PAGE_SIZE]; // reg[] lies behind its end
    u64 reg[GPRS];
    struct root_entry entry;
};

#define ROOT_PAGES ((sizeof(struct svm_root) + PAGE_SIZE - 1) / PAGE_SIZE)

void svm_root_switch(paddr_t guest, paddr_t host, u64 *reg)
{
    u64 call = ROOT_RUN;

    asm volatile("vmmcall" : "+a"(call) : "D"(guest), "S"(reg) : "memory", "cc");
}

// MSRs that stay the hypervisor's: a set bit makes the access exit (APM 2, 15.11).
static u8 *hypervisor_msrs(void)
{
    static u8 *bitmap;
    u32 bit = (MSR_VM_HSAVE_PA & 0x1fff) * 2;

    if (!bitmap) {
        bitmap = root_alloc(2);
        bitmap[0x1000 + bit / 8] |= 3 << bit % 8;
    }
    return bitmap;
}

static void set_intercepts(struct vmcb *b)
{
    b->intercept1 = INTERCEPT_CPUID | INTERCEPT_INVLPGA | INTERCEPT_MSR | INTERCEPT_SHUTDOWN;
    b->intercept2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD | INTERCEPT_VMSAVE |
                    INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT;
    b->msrpm_base = b->iopm_base = virt_to_phys(hypervisor_msrs());
    b->asid = ROOT_ASID;
    b->tlb_control = TLB_FLUSH_ALL;
    b->nested_control = NP_ENABLE;
    b->nested_cr3 = root_nested;
}

// This CPU's state as it is now; VMSAVE adds what VMLOAD loads.
static void save_state(struct vmcb *b)
{
    struct descriptor_table gdt, idt;

    store_gdt(&gdt);
    store_idt(&idt);
    b->cs = (struct vmcb_segment){SEL_KERNEL_CODE, ATTRIBUTES_CODE, ~0U, 0};
    b->ss = (struct vmcb_segment){SEL_KERNEL_DATA, ATTRIBUTES_DATA, ~0U, 0};
    b->ds = b->es = b->ss;
    b->gdtr = (struct vmcb_segment){.limit = gdt.limit, .base = gdt.base};
    b->idtr = (struct vmcb_segment){.limit = idt.limit, .base = idt.base};
    b->cr0 = read_cr0();
    b->cr3 = read_cr3();
    b->cr4 = read_cr4();
    b->efer = rdmsr(MSR_EFER);
    b->g_pat = rdmsr(MSR_PAT);
    b->dr6 = DR6_INIT;
    b->dr7 = DR7_INIT;
    b->rflags = RFLAGS_FIXED;
    vmsave(virt_to_phys(b));
}

static void raise(struct vmcb *b, u8 vector)
{
    b->event_injection =
        vector | EVENT_EXCEPTION << 8 | EVENT_VALID | (vector == VEC_GP ? EVENT_HAS_ERROR : 0);
}

// RDI: the child's VMCB, RSI: its general registers. The child's nested table is the parent's work
// and is not looked into.
static void run_child(struct svm_root *r)
{
    paddr_t child = r->reg[RDI];

    if ((child & ~PAGE_MASK) || root_owns(child, PAGE_SIZE))
        panic("viv.root: the root partition ran a VMCB at %#lx", child);
    svm_switch(child, virt_to_phys(&r->host), (u64 *)r->reg[RSI]);
    r->vmcb.rip += 3; // VMMCALL
}

static void cpuid_exit(struct svm_root *r)
{
    r->reg[RAX] = r->vmcb.rax;
    root_cpuid(r->reg);
    r->vmcb.rax = r->reg[RAX];
    r->vmcb.rip += 2;
}

static void handle_root_exit(struct svm_root *r)
{
    struct vmcb *b = &r->vmcb;

    switch ((u32)b->exit_code) {
    case VMEXIT_CPUID:
        cpuid_exit(r);
        break;
    case VMEXIT_VMMCALL:
        if (b->cpl == 0 && b->rax == ROOT_RUN)
            run_child(r);
        else
            raise(b, VEC_UD);
        break;
    case VMEXIT_MSR:
        raise(b, VEC_GP);
        break;
    case VMEXIT_INVLPGA:
    case VMEXIT_VMRUN:
    case VMEXIT_VMLOAD ... VMEXIT_SKINIT:
        raise(b, VEC_UD);
        break;
    case VMEXIT_NPF:
        panic("viv.root: the root partition reached for %#lx, the hypervisor's, at %#lx",
              b->exit_info2, b->rip);
    default:
        panic("viv.root: the root partition ended with exit code %#lx at %#lx", b->exit_code,
              b->rip);
    }
}

static void run_root(void *root)
{
    struct svm_root *r = root;

    r->vmcb.rsp = r->entry.rsp;
    r->vmcb.rip = r->entry.rip;
    for (;;) {
        svm_switch(virt_to_phys(&r->vmcb), virt_to_phys(&r->host), r->reg);
        r->vmcb.tlb_control = 0;
        r->vmcb.event_injection = 0;
        handle_root_exit(r);
    }
}

void svm_root_enter_cpu(void)
{
    struct svm_root *r = root_alloc(ROOT_PAGES);

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, virt_to_phys(r->save_area));
    svm_cpu_is_roots();
    set_intercepts(&r->vmcb);
    save_state(&r->vmcb);
    vmsave(virt_to_phys(&r->host));
    root_launch(r, &r->entry, r->stack + sizeof(r->stack), run_root);
}
