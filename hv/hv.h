// The hypervisor: virtual machines and vCPUs behind the Linux KVM API
// (Documentation/virt/kvm/api.rst of Linux).
//
// A VM's memory is its VMM process's memory, a vCPU is a thread of it in guest mode; so kill,
// cpu.max and memory.max work on VMs without code here. This header is the shared core: the
// objects, and `struct hv_ops`, the table that each processor vendor's directory (svm/, vmx/) fills
// with functions of the same names. No other file asks which vendor it runs on.
//
// Everything runs under the kernel lock but guest mode itself, which drops it.
#pragma once
#include <linux/kvm.h>
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/mm/aspace.h"
#include "kernel/task/wait.h"
#include "kernel/x86/fpu.h"
#include "kernel/x86/cpu.h"

struct file;
struct irqchip;
struct lapic;
struct pit;
struct process;
struct vcpu;
struct vm;
struct vmobject;

#define HV_MAX_SLOTS 64
#define HV_MAX_VCPUS 16
#define HV_MAX_CPUID 100
#define HV_MAX_ROUTES 256 // entries of the GSI routing table, and GSIs
#define HV_MAX_ZONES 16
#define HV_RUN_PAGES 3 // kvm_run, then the data of port I/O, then the ring of coalesced writes

// What a guest may set in CR4; all else is the host's, VMXE above all.
#define CR4_GUEST                                                                                  \
    (0xfUL | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | BIT(8) | CR4_OSFXSR | CR4_OSXMMEXCPT |        \
     CR4_UMIP | CR4_FSGSBASE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP)
#define HV_MAX_GPA (1UL << 40) // guest-physical addresses end here

// General registers in the order of the instruction encoding (SDM 2, table 2-2).
enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPRS };

// Why the guest stopped, in the vendors' common terms.
enum hv_exit_kind {
    HV_EXIT_HOST_EVENT, // a host interrupt, an NMI or the preemption timer: nothing for us to do
    HV_EXIT_IO,
    HV_EXIT_CPUID,
    HV_EXIT_RDMSR,
    HV_EXIT_WRMSR,
    HV_EXIT_HLT,
    HV_EXIT_NESTED_FAULT,
    HV_EXIT_IRQ_WINDOW, // the guest can take an interrupt now
    HV_EXIT_SKIP,       // an instruction that does nothing here (INVD, WBINVD, PAUSE): step over it
    HV_EXIT_UNDEFINED,  // an instruction that the guest must not have: #UD
    HV_EXIT_MWAIT,      // MONITOR, too
    HV_EXIT_XSETBV,
    HV_EXIT_HYPERCALL,
    HV_EXIT_DEBUG,      // for the debugger outside
    HV_EXIT_SHUTDOWN,   // triple fault
    HV_EXIT_FAIL_ENTRY, // the CPU refused the guest's state
    HV_EXIT_HANDLED,    // the vendor's code did all there was to do
    HV_EXIT_UNKNOWN,
};

struct hv_exit {
    enum hv_exit_kind kind;
    u64 hardware_reason; // EXITCODE or exit reason, for reports
    u8 length;           // of the instruction, 0: the CPU did not say
    struct {
        u16 port;
        u8 size; // 1, 2, 4
        bool in, string, rep;
        u8 address_size; // 2, 4, 8 (string forms)
        u8 segment; // of a string form: index in the encoding ES CS SS DS FS GS, 0xff: decode it
    } io;
    struct {
        u64 gpa;
        bool write, fetch;
    } fault;
    struct {
        u8 vector;
        u64 dr6;
    } debug;
};

// An event for the guest: an interrupt, an NMI or an exception.
struct hv_event {
    bool valid;
    u8 vector;
    u8 type; // as both vendors encode it: 0 external interrupt, 2 NMI, 3 exception, 4 software
             // interrupt
    bool has_error;
    u32 error;
    u8 length; // of the instruction, for software events on VT-x
};

#define EVENT_INTR 0
#define EVENT_NMI 2
#define EVENT_EXCEPTION 3
#define EVENT_SOFT_INT 4
#define EVENT_PRIV_SOFT 5
#define EVENT_SOFT_EXCEPTION 6

// How the guest translates addresses and reads instructions now.
struct hv_mode {
    u64 cr0, cr3, cr4, efer, cs_base;
    u8 cpl;
    u8 code_bits; // 16, 32 or 64
};

// IA32_MISC_ENABLE.
#define MSR_MISC_ENABLE 0x1a0
#define MISC_ENABLE_MWAIT BIT(18)
// IA32_APIC_BASE.
#define APIC_BASE_BSP BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLED BIT(11)

struct memslot {
    bool used;
    u32 flags; // KVM_MEM_*
    u64 gpa, size;
    vaddr_t hva; // in the VMM's address space
    u64 **dirty; // the log's bitmap, a page each; NULL: not logged
};

#define NOTHING_PEEKED 1 // no page has this address

struct vm_stats { // for KVM_GET_STATS_FD, under KVM's names
    u64 remote_tlb_flush;
    u64 pages_4k, pages_2m; // nested entries now
};

struct vm {
    u32 refs;              // the VM's file and each vCPU
    struct aspace *aspace; // the VMM's; no reference; NULL once it is gone
    struct aspace_watcher watcher;
    struct memslot slot[HV_MAX_SLOTS];
    u32 last_slot;       // where slot_find found something last
    u32 slot_end;        // no slot from here on was ever used
    paddr_t nested_root; // nested page table / EPT
    u64 peeked;          // the page that nested_peek() found last; NOTHING_PEEKED
    const void *peeked_at;
    struct cgroup *cgroup; // pays for the nested tables
    struct vcpu *vcpu[HV_MAX_VCPUS];
    u32 boot_cpu;            // the vCPU that runs first
    u32 max_vcpu_id;         // KVM_CAP_MAX_VCPU_ID: vCPUs have smaller numbers; 0: not set
    u64 quirks_off;          // KVM_CAP_DISABLE_QUIRKS2
    bool x2apic_ids;         // KVM_CAP_X2APIC_API: KVM_GET_LAPIC gives x2APIC ids as they are
    bool no_platform_info;   // KVM_CAP_MSR_PLATFORM_INFO: guests have no MSR_PLATFORM_INFO
    struct list link;        // in the list of all VMs
    u64 tsc_base;            // host TSC at creation: the guest's TSC starts at 0
    u64 clock_base;          // clock_ns() when KVM_GET_CLOCK's clock was 0
    u64 wall_clock_msr;      // MSR_KVM_WALL_CLOCK: where the guest wanted the real time
    struct irqchip *irqchip; // irqchip/: NULL, user space has the chips
    struct pit *pit;
    struct list irqfds, ioeventfds;                    // KVM_IRQFD, KVM_IOEVENTFD
    struct page *coalesced_page;                       // coalesced.c
    struct kvm_coalesced_mmio_zone zone[HV_MAX_ZONES]; // size 0: not used
    u32 zones_used;
    struct vm_stats stats;
    void *vendor;
};

struct vcpu {
    struct vm *vm;
    u32 id;
    bool running;           // in KVM_RUN, or another ioctl that waits
    struct wait_queue idle; // whoever waits until it is not
    bool in_guest;          // between entry and exit, without the kernel lock
    bool flush_wanted;      // nested translations changed since the last entry
    u32 cpu;                // where its hardware state was last loaded; MAX_CPUS: nowhere
    bool loaded;            // the guest's FPU and debug registers are in the CPU

    u64 reg[GPRS]; // RAX and RSP too, whatever the vendor keeps in its own block
    u64 rip, rflags;
    u64 dr[4], dr6, dr7;
    u32 debug;       // KVM_GUESTDBG_*, 0: no debugger
    u64 debug_dr[8]; // with KVM_GUESTDBG_USE_HW_BP the CPU has these instead of the guest's
    bool stepped;    // an instruction that exits was stepped over for the debugger
    u64 xcr0;
    u64 apic_base, cr8, misc_enable, pat, tsc_offset, tsc_adjust, platform_info, microcode;
    struct fpu_state *fpu;

    struct hv_exit exit;
    struct hv_event pending; // to inject at the next entry: re-injected or raised by us
    int irq;                 // KVM_INTERRUPT's vector, -1 for none
    u8 nmis;                 // that wait: one to deliver and one after it at most
    struct lapic *lapic;     // NULL: user space has the chips
    u32 mp_state;            // KVM_MP_STATE_*
    bool init_pending, sipi_pending;
    u8 sipi_vector;
    struct wait_queue halt; // where it sleeps in HLT and before it is started

    struct kvm_run *run; // hostile: the VMM writes to it at any time
    struct page *run_page[HV_RUN_PAGES];
    struct vmobject *run_object;
    // What the VMM has to finish before the next entry.
    struct {
        enum { COMPLETE_NONE, COMPLETE_IO, COMPLETE_MMIO } kind;
        u8 size;   // I/O: of one item
        u32 count; // string I/O: items
        bool in, string, rep;
        struct hv_exit exit;
        u64 item_gva;         // string I/O: where the first item lies
        struct decoded *insn; // MMIO: what to do with the value
        u8 data[8];
    } completion;

    u32 cpuid_count;
    struct kvm_cpuid_entry2 cpuid[HV_MAX_CPUID];
    u64 clock_msr;                   // MSR_KVM_SYSTEM_TIME: where the guest reads its clock
    bool clock_stale, clock_stopped; // to be written, with the news that the guest was stopped
    u64 sigmask;
    bool has_sigmask;

    u64 exits[HV_EXIT_UNKNOWN + 1]; // by enum hv_exit_kind
    void *vendor;                   // struct svm_vcpu, struct vmx_vcpu
};

// What a processor vendor provides.
struct hv_ops {
    const char *name; // "svm", "vmx"
    // NULL if this CPU has all that the backend needs, else what is missing, in words.
    const char *(*probe)(void);
    int (*vcpu_create)(struct vcpu *v); // in the architectural state after INIT
    void (*vcpu_destroy)(struct vcpu *v);
    void (*vcpu_reset)(struct vcpu *v); // to that state again; not loaded
    // Binds the vCPU's hardware block to this CPU, on which virtualization is turned on if it is
    // not / makes its state readable from any CPU again. load may sleep before it touches the CPU.
    void (*vcpu_load)(struct vcpu *v);
    void (*vcpu_put)(struct vcpu *v);
    // Runs the guest once: interrupts off and the kernel lock dropped by the caller. Fills v->reg,
    // rip, rflags from the hardware.
    void (*enter)(struct vcpu *v);
    // Reads the exit into v->exit (kernel lock held again) and saves an event whose delivery was
    // cut short in v->pending.
    void (*decode_exit)(struct vcpu *v);
    void (*get_mode)(struct vcpu *v,
                     struct hv_mode *m); // the part of the state that most exits need
    void (*get_sregs)(struct vcpu *v, struct kvm_sregs *s);
    int (*set_sregs)(struct vcpu *v, const struct kvm_sregs *s);
    // MSRs that live in the hardware block: 0, or -ENOENT for others.
    int (*get_msr)(struct vcpu *v, u32 msr, u64 *value);
    int (*set_msr)(struct vcpu *v, u32 msr, u64 value);
    // Puts an event into the block for the next entry.
    void (*inject)(struct vcpu *v, const struct hv_event *e);
    // True if neither RFLAGS.IF nor a shadow (STI, MOV SS) holds an interrupt back.
    bool (*irq_allowed)(struct vcpu *v);
    void (*want_irq_window)(struct vcpu *v, bool on);
    // True if neither a shadow nor an NMI whose IRET is to come holds an NMI back.
    bool (*nmi_allowed)(struct vcpu *v);
    void (*want_nmi_window)(struct vcpu *v, bool on); // an exit when that becomes true
    // What holds events back: KVM_X86_SHADOW_INT_*, and an NMI whose IRET is to come.
    void (*get_blocking)(struct vcpu *v, u8 *shadow, bool *nmi);
    void (*set_blocking)(struct vcpu *v, u8 shadow, bool nmi);
    // v->debug was set; not loaded.
    void (*debug_changed)(struct vcpu *v);
    // Steps over an instruction: rip, and the shadow ends.
    void (*advance)(struct vcpu *v, unsigned length);
    // An entry of the nested tables: a table (leaf false) or a page, of 2 MiB with PTE_PS added.
    u64 (*nested_entry)(paddr_t pa, bool leaf, bool writable);
    // The next entry sees the nested tables as they are now.
    void (*flush)(struct vcpu *v);
    // Late launch: this CPU goes on in the root partition (root.h).
    void (*root_enter_cpu)(void);
};

extern const struct hv_ops svm_ops, vmx_ops;
extern const struct hv_ops *hv_ops; // the one that this machine has, NULL for none

// Past an instruction that was carried out here, with the #DB that a guest that steps itself gets
// after it.
void vcpu_advance(struct vcpu *v, unsigned length);

void hv_init(void); // probes, enables all CPUs, makes /dev/kvm

// dev.c, vm.c, vcpu.c
int vm_create(void); // KVM_CREATE_VM: a descriptor or -errno
struct vm *vm_get(struct vm *vm);
void vm_put(struct vm *vm);
// For /proc: the vCPUs of the process's VMs and their exits since creation. False if it has no VM.
u64 vcpu_exits(const struct vcpu *v); // of all kinds
bool hv_process_counts(const struct process *p, u32 *vcpus, u64 *exits);
int vcpu_create(struct vm *vm, u32 id); // KVM_CREATE_VCPU
void vcpu_destroy(struct vcpu *v);
long vm_check_extension(u64 cap);
void vcpu_load(struct vcpu *v); // guest's FPU and debug registers into the CPU, if they are not
void vcpu_put(struct vcpu *v);  // and back: before anything that sleeps or looks at user state
long vcpu_run(struct vcpu *v);  // run.c
// Whether it starts at the reset vector; the others wait for a start-up IPI.
static inline bool vcpu_boots(const struct vcpu *v)
{
    return v->id == v->vm->boot_cpu;
}

// caps.c: what user space chooses for a VM or a vCPU
long caps_vm_ioctl(struct vm *vm, u32 cmd, u64 arg);   // -ENOTTY: not one of them
int caps_extension(u64 cap);                           // KVM_CHECK_EXTENSION's answer, 0: none
long vcpu_attribute(struct vcpu *v, u32 cmd, u64 arg); // KVM_{HAS,GET,SET}_DEVICE_ATTR

// debug.c
long debug_set(struct vcpu *v, u64 arg); // KVM_SET_GUEST_DEBUG
// For the CPU while the guest runs.
static inline u64 debug_dr7(const struct vcpu *v)
{
    return v->debug & KVM_GUESTDBG_USE_HW_BP ? v->debug_dr[7] : v->dr7;
}
void debug_load(const struct vcpu *v); // DR0-3 into the CPU
void debug_unload(struct vcpu *v);     // and back
// For the vendors, while they decode: #DB (with what DR6 would be), #BP and #AC, as intercepted;
// and a MOV to or from a debug register.
void decode_exception(struct vcpu *v, u8 vector, u64 dr6);
void decode_mov_dr(struct vcpu *v, unsigned dr, u64 *value, bool write, unsigned length);
int exit_debug(struct vcpu *v, u8 vector, u64 dr6); // KVM_EXIT_DEBUG
// Before an entry with KVM_GUESTDBG_SINGLESTEP: QEMU's #DB comes one instruction late after STI.
// True if there was one, which is done here.
bool debug_step_sti(struct vcpu *v);
// After v->stepped. 0: the debugger is told.
int debug_stepped(struct vcpu *v);

// regs.c
long vcpu_regs_ioctl(struct vcpu *v, u32 cmd, u64 arg); // -ENOTTY: not one of them
int regs_from_run(struct vcpu *v);                      // KVM_CAP_SYNC_REGS: 0 or -EINVAL
void regs_to_run(struct vcpu *v);

// state.c: what snapshots and debuggers ask for
long vcpu_state_ioctl(struct vcpu *v, u32 cmd, u64 arg); // -ENOTTY: not one of them
void vcpu_get_events(struct vcpu *v, struct kvm_vcpu_events *to);
int vcpu_set_events(struct vcpu *v, const struct kvm_vcpu_events *e); // 0 or -EINVAL
long tsc_khz_ioctl(u32 cmd, u64 khz); // KVM_GET_TSC_KHZ, KVM_SET_TSC_KHZ
int state_extension(u64 cap);         // KVM_CHECK_EXTENSION's answer, 0: none
bool xcr0_valid(u64 value);           // what XSETBV takes (SDM 1, 13.3)

// irqchip/
// Port I/O that the kernel answers: false if it does not. `value` as IN and OUT have it.
bool irqchip_port(struct vm *vm, bool in, u16 port, u8 size, u32 *value);
// Likewise for an access to guest-physical memory that no slot has.
bool irqchip_mmio(struct vcpu *v, bool write, u64 gpa, u8 size, u64 *value);
long irqchip_vm_ioctl(struct vm *vm, u32 cmd, u64 arg);    // -ENOTTY: not of the chips
long irqchip_vcpu_ioctl(struct vcpu *v, u32 cmd, u64 arg); // -EINVAL: not of the chips
void irqchip_destroy(struct vm *vm);
// The interrupt to deliver next: from the chips, or KVM_INTERRUPT's where user space has them.
bool vcpu_has_interrupt(const struct vcpu *v);
u8 vcpu_take_interrupt(struct vcpu *v); // its vector; the chip counts it as in service
void vcpu_kick(struct vcpu *v);         // it looks at its interrupts: wakes up, leaves the guest
// It is halted, not started, or an INIT or start-up IPI waits for it.
bool vcpu_must_wait(const struct vcpu *v);
// Sleeps until that ends or a signal comes. -EAGAIN where it had never been started, as KVM_RUN
// answers then; else 0.
int vcpu_wait(struct vcpu *v);
int lapic_create(struct vcpu *v); // where the VM has the chips; 0, -ENOMEM
void lapic_destroy(struct vcpu *v);
// MSRs of the local APIC: 0, or 1: #GP.
int lapic_get_msr(struct vcpu *v, u32 msr, u64 *value);
int lapic_set_msr(struct vcpu *v, u32 msr, u64 value);
// IA32_APIC_BASE. 0, or 1: not allowed. A guest may change modes only step by step.
int vcpu_set_apic_base(struct vcpu *v, u64 value, bool by_guest);
void vcpu_set_cr8(struct vcpu *v, u8 cr8); // which is the local APIC's task priority

// irqchip/eventfd.c
long eventfd_vm_ioctl(struct vm *vm, u32 cmd, u64 arg); // -ENOTTY: not of eventfds
// A write that an eventfd waits for: true, and nothing else is to be done.
bool ioeventfd_write(struct vm *vm, bool pio, u64 addr, u8 size, u64 value);
void eventfds_destroy(struct vm *vm);

// coalesced.c
long coalesced_ioctl(struct vm *vm, u64 arg, bool add);
// A write that goes into the ring: true. False: no zone has it, or the ring is full.
bool coalesced_write(struct vm *vm, bool pio, u64 addr, u8 size, u64 value);

// slots.c
int slot_set(struct vm *vm, const struct kvm_userspace_memory_region *region);
void slots_destroy(struct vm *vm);
struct memslot *slot_find(struct vm *vm, u64 gpa);
// Guest-physical memory through the slots. 0 or -EFAULT (no slot, or the VMM's mapping is gone).
// May sleep.
int guest_read(struct vm *vm, u64 gpa, void *buf, size_t n);
int guest_write(struct vm *vm, u64 gpa, const void *buf, size_t n);

// nested.c
int nested_create(struct vm *vm);
void nested_destroy(struct vm *vm);
// Answers a nested fault: maps the page. 0; 1: no memory there (MMIO); -errno. May sleep.
int nested_fault(struct vcpu *v, u64 gpa, bool write);
// Where the byte at gpa lies if the guest can read it without a nested fault, else NULL. Holds
// until something sleeps.
const void *nested_peek(struct vm *vm, u64 gpa);
void nested_zap(struct vm *vm, u64 gpa,
                u64 size); // and makes every vCPU flush before it runs again
void vm_kick_all(struct vm *vm);

// Takes the right to write to a page out of its entry, if it has one; the caller kicks the vCPUs.
void nested_protect(struct vm *vm, u64 gpa);

// dirty.c
int dirty_start(struct vm *vm, struct memslot *s); // 0 or -ENOMEM
void dirty_stop(struct memslot *s);
void dirty_mark(struct memslot *s, u64 gpa); // gpa is in the slot, which need not be logged
long dirty_get(struct vm *vm, u64 arg);      // KVM_GET_DIRTY_LOG

// gva.c: guest-virtual addresses through the guest's own page tables
// 0, or -EFAULT with the page-fault error code in *error.
int gva_translate(struct vcpu *v, u64 gva, bool write, bool fetch, u64 *gpa, u32 *error);
int gva_read(struct vcpu *v, u64 gva, void *buf, size_t n, bool fetch);
int gva_fetch(struct vcpu *v, const struct hv_mode *m, u64 gva, void *buf, size_t n); // code
// The n bytes of code at gva in place, as nested_peek() has them; NULL also where a page ends.
const u8 *gva_peek(struct vcpu *v, const struct hv_mode *m, u64 gva, size_t n);
int gva_write(struct vcpu *v, u64 gva, const void *buf, size_t n);

// exits.c
#define RESUME 1 // the guest goes on; 0: back to user space with kvm_run filled; <0: -errno
int handle_exit(struct vcpu *v);
void inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error);
int complete_userspace(struct vcpu *v); // before the next entry: what user space answered
unsigned instruction_length(struct vcpu *v);

// kvmclock.c: what is not its own gives 1 (MSRs), -ENOTTY (ioctls), 0 (extensions)
int kvmclock_get_msr(struct vcpu *v, u32 msr, u64 *value);
int kvmclock_set_msr(struct vcpu *v, u32 msr, u64 value);
void kvmclock_changed(struct vcpu *v); // the guest's TSC was set
void kvmclock_update(struct vcpu *v);  // writes the guest's page; may sleep
int kvmclock_stopped(struct vcpu *v);  // KVM_KVMCLOCK_CTRL
long kvmclock_vm_ioctl(struct vm *vm, u32 cmd, u64 arg);
int kvmclock_extension(u64 cap);

// stats.c: a new descriptor or -errno; vcpu -1: of the VM.
int stats_open(struct vm *vm, int vcpu);

// cpuid.c, msr.c
void cpuid_emulate(struct vcpu *v);
bool cpuid_has_mwait(const struct vcpu *v);
long cpuid_set(struct vcpu *v, u64 arg);                            // KVM_SET_CPUID2
unsigned cpuid_supported(struct kvm_cpuid_entry2 *e, unsigned max); // entries written
const struct kvm_cpuid_entry2 *cpuid_find(const struct vcpu *v, u32 function, u32 index);
// For user space: 0, or 1: there is none, or it cannot have this value.
int msr_get(struct vcpu *v, u32 msr, u64 *value);
int msr_set(struct vcpu *v, u32 msr, u64 value);
// RDMSR and WRMSR: 0, or 1: #GP.
int msr_read(struct vcpu *v, u32 msr, u64 *value);
int msr_write(struct vcpu *v, u32 msr, u64 value);
// KVM_GET_MSRS, KVM_SET_MSRS; without a vCPU, of what the system has.
long msrs_ioctl(struct vcpu *v, u64 arg, bool write);
extern const u32 msr_list[], msr_feature_list[];
extern const unsigned msr_list_count, msr_feature_count;
