// Traps, interrupts and system calls after trap_entry.S: who handles what, and the kernel lock on
// the way.
//
// From user mode the lock is taken before anything else and dropped last. From kernel mode it is
// taken only if this CPU does not hold it (idle, or on the way out of a guest). VEC_TLB and
// VEC_STOP never take it: their senders hold it while they wait.
#include "kernel/x86/trap.h"

#include "kernel/x86/apic.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/extable.h"
#include "kernel/x86/irq.h"
#include "kernel/x86/klock.h"
#include "kernel/x86/log.h"
#include "kernel/x86/paging.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/smp.h"

#define IRQ_LINES 16

static_assert(offsetof(struct percpu, kernel_rsp) == 8 && offsetof(struct percpu, user_rsp) == 16 &&
                  offsetof(struct percpu, current) == 24,
              "trap_entry.S, task.h");
static_assert(offsetof(struct trapframe, r11) == 48 && offsetof(struct trapframe, rcx) == 88 &&
                  offsetof(struct trapframe, vector) == 120 &&
                  offsetof(struct trapframe, rip) == 136 &&
                  offsetof(struct trapframe, rflags) == 152 && sizeof(struct trapframe) == 176,
              "trap_entry.S");

struct ex_entry {
    u64 insn, fixup;
};

extern const struct ex_entry ex_table_start[], ex_table_end[];
extern char syscall_entry[], context_begin[];

void trap_handler(struct trapframe *tf);
void trap_from_ist(struct trapframe *tf);
void syscall_handler(struct trapframe *tf);
void __noreturn return_frame(struct trapframe *tf);

static const char *const exception_names[] = {
    [VEC_DE] = "divide error",
    [VEC_DB] = "debug exception",
    [VEC_NMI] = "NMI",
    [VEC_BP] = "breakpoint",
    [VEC_OF] = "overflow",
    [VEC_BR] = "bound range exceeded",
    [VEC_UD] = "invalid opcode",
    [VEC_NM] = "device not available",
    [VEC_DF] = "double fault",
    [VEC_TS] = "invalid TSS",
    [VEC_NP] = "segment not present",
    [VEC_SS] = "stack fault",
    [VEC_GP] = "general protection",
    [VEC_PF] = "page fault",
    [VEC_MF] = "x87 error",
    [VEC_AC] = "alignment check",
    [VEC_MC] = "machine check",
    [VEC_XM] = "SIMD error",
};

static u64 breakpoints_seen;

u64 trap_breakpoints(void)
{
    return breakpoints_seen;
}

bool trap_fixup(struct trapframe *tf)
{
    for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++) {
        if (e->insn == tf->rip) {
            tf->rip = e->fixup;
            return true;
        }
    }
    return false;
}

void trap_die(struct trapframe *tf)
{
    const char *name =
        tf->vector < ARRAY_SIZE(exception_names) ? exception_names[tf->vector] : NULL;

    panic_frame(tf, "%s in the kernel (vector %lu, error 0x%lx, cr2 0x%lx)",
                name ? name : "exception", tf->vector, tf->error, read_cr2());
}

static void kernel_exception(struct trapframe *tf)
{
    if (tf->vector == VEC_BP) {
        breakpoints_seen++;
        return;
    }
    if (!trap_fixup(tf))
        trap_die(tf);
}

static void dispatch(struct trapframe *tf)
{
    if (tf->vector == VEC_PF) {
        u64 addr = read_cr2();
        if (!from_user(tf) && addr >= USER_END)
            kernel_exception(tf);
        else
            page_fault(tf, addr);
    } else if (tf->vector == VEC_NMI) {
        smp_poll();
    } else if (tf->vector < VEC_IRQ_BASE) {
        if (from_user(tf) && tf->vector != VEC_DF && tf->vector != VEC_MC)
            user_exception(tf);
        else
            kernel_exception(tf);
    } else {
        irq_dispatch(tf->vector);
    }
}

// The last steps before user mode. A frame whose RIP is not canonical (a signal handler's address,
// say) would make IRET fault in the kernel: it is the program's own fault.
static void leave_kernel(struct trapframe *tf)
{
    return_to_user(tf);
    while (tf->rip >= USER_END) {
        tf->vector = VEC_GP;
        tf->error = 0;
        user_exception(tf);
        return_to_user(tf);
    }
    klock_release();
}

void trap_handler(struct trapframe *tf)
{
    if (tf->vector == VEC_TLB || tf->vector == VEC_STOP) {
        apic_eoi();
        smp_poll();
        return;
    }
    if (from_user(tf))
        this_cpu()->entry_tsc = rdtsc();
    bool had_lock = klock_held();
    if (!had_lock)
        klock_acquire();
    dispatch(tf);
    if (from_user(tf))
        leave_kernel(tf);
    else if (!had_lock)
        klock_release();
}

// NMI, #DB, #DF and #MC from kernel mode, on a stack of their own: the kernel below may be
// anywhere, no locks.
void trap_from_ist(struct trapframe *tf)
{
    switch (tf->vector) {
    case VEC_NMI:
        smp_poll();
        break;
    case VEC_DB:
        write_dr6(
            0xffff0ff0); // DR6 as after reset: a breakpoint of a debugger that sits in the kernel
        break;
    default:
        trap_die(tf);
    }
}

void syscall_handler(struct trapframe *tf)
{
    this_cpu()->entry_tsc = rdtsc();
    klock_acquire();
    syscall_dispatch(tf);
    leave_kernel(tf);
}

void enter_user(struct trapframe *tf)
{
    leave_kernel(tf);
    return_frame(tf);
}

void irq_window(void)
{
    klock_release();
    sti_cli();
    klock_acquire();
}

u64 context_init(u64 top, void (*fn)(void *), void *arg)
{
    u64 *sp = (u64 *)ALIGN_DOWN(top, 16UL);

    *--sp = 0; // two words, so that context_begin has an aligned stack
    *--sp = 0;
    *--sp = (u64)context_begin;
    *--sp = 0;        // rbp
    *--sp = (u64)fn;  // rbx
    *--sp = (u64)arg; // r12
    *--sp = 0;        // r13
    *--sp = 0;        // r14
    *--sp = 0;        // r15
    return (u64)sp;
}

void syscall_init_cpu(void)
{
    wrmsr(MSR_STAR, (u64)(SEL_USER_CODE32) << 48 | (u64)SEL_KERNEL_CODE << 32);
    wrmsr(MSR_LSTAR, (u64)syscall_entry);
    wrmsr(MSR_CSTAR, 0);
    wrmsr(MSR_SFMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_RF);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
}
