// Traps, interrupts and system calls: the frame they leave on the kernel stack, and who handles
// them.
#pragma once
#include "kernel/lib/types.h"

// Selectors, in the order that SYSRET wants (SDM 3A, 5.8.8).
#define SEL_KERNEL_CODE 0x08
#define SEL_KERNEL_DATA 0x10
#define SEL_USER_CODE32 0x1b
#define SEL_USER_DATA 0x23
#define SEL_USER_CODE 0x2b
#define SEL_TSS 0x30

// Vectors.
#define VEC_DE 0
#define VEC_DB 1
#define VEC_NMI 2
#define VEC_BP 3
#define VEC_OF 4
#define VEC_BR 5
#define VEC_UD 6
#define VEC_NM 7
#define VEC_DF 8
#define VEC_TS 10
#define VEC_NP 11
#define VEC_SS 12
#define VEC_GP 13
#define VEC_PF 14
#define VEC_MF 16
#define VEC_AC 17
#define VEC_MC 18
#define VEC_XM 19
#define VEC_IRQ_BASE 0x20 // ISA IRQ n arrives at VEC_IRQ_BASE + n
#define VEC_TIMER 0xf0
#define VEC_RESCHED 0xf1 // IPI: look at need_resched
#define VEC_TLB 0xf2     // IPI: flush the TLB and answer
#define VEC_STOP 0xf3    // IPI: stop (panic, power off)
#define VEC_SPURIOUS 0xff
#define VEC_SYSCALL 0x100 // not a vector: marks a frame made by SYSCALL

struct trapframe {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 vector;
    u64 error; // hardware error code; for VEC_SYSCALL the call's number (Linux's orig_rax), -1 once
               // it must not be restarted
    u64 rip, cs, rflags, rsp, ss;
};

static inline bool from_user(const struct trapframe *tf)
{
    return (tf->cs & 3) == 3;
}

#define PF_PRESENT BIT(0)
#define PF_WRITE BIT(1)
#define PF_USER BIT(2)
#define PF_RSVD BIT(3)
#define PF_FETCH BIT(4)

// Upcalls: called by trap.c with the kernel lock held, implemented on higher floors.
void syscall_dispatch(struct trapframe *tf);     // kernel/syscall
void page_fault(struct trapframe *tf, u64 addr); // kernel/mm: error code in tf->error
void user_exception(
    struct trapframe *tf); // kernel/task: any other exception from user mode -> signal
void timer_tick(void);     // kernel/task: this CPU's timer fired
void return_to_user(
    struct trapframe *tf); // kernel/task: signals, reschedule; before each way back to user mode

// A kernel instruction that may fault on a user address has an entry in the exception table (fixup
// address). Returns true and moves tf->rip if there is one.
bool trap_fixup(struct trapframe *tf);

// The end of an exception in the kernel that nobody can handle: panic with the registers and the
// backtrace of tf.
void __noreturn trap_die(struct trapframe *tf);
// Breakpoints (INT3) met in the kernel so far: each is counted and passed over.
u64 trap_breakpoints(void);

// Makes SYSCALL enter the kernel on this CPU.
void syscall_init_cpu(void);

// Calls fn(arg) on each interrupt of ISA line `irq` (0-15), with the kernel lock held; unmasks the
// line. -EBUSY if taken.
int irq_register(unsigned irq, void (*fn)(void *arg), void *arg);

// Sends a fixed IPI.
void ipi_send(u32 cpu_id, u8 vector);
void ipi_send_others(u8 vector);

// Lets pending interrupts in for a moment: drops the kernel lock, STI, CLI, takes it again.
void irq_window(void);

// Leaves the kernel for user mode with the registers in tf; drops the kernel lock.
void __noreturn enter_user(struct trapframe *tf);

// Switches kernel stacks: saves callee-saved registers and rsp in *save, loads load. The new
// stack's top holds a context made by context_init or by an earlier switch.
void context_switch(u64 *save, u64 load);
// Prepares the stack that ends at `top` so that the first switch to it calls fn(arg), which must
// not return. Returns the rsp.
u64 context_init(u64 top, void (*fn)(void *), void *arg);
