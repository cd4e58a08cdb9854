// What each CPU has for itself, reached through GS while in the kernel.
#pragma once
#include "kernel/lib/types.h"
#include "kernel/x86/stack.h"

struct task;

struct tss { // SDM 3A, 8.7: 64-bit task-state segment
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3;
    u16 iomap_base;
} __packed;

#define GDT_ENTRIES                                                                                \
    8 // null, kernel code, kernel data, user code32, user data, user code64, TSS (2)

struct percpu {
    struct percpu *self;  // %gs:0
    u64 kernel_rsp;       // %gs:8: top of the current task's kernel stack, for SYSCALL entry
    u64 user_rsp;         // %gs:16: scratch for SYSCALL entry
    struct task *current; // %gs:24
    u32 id;               // 0 .. cpu_count()-1, 0 boots
    u32 apic_id;
    bool online;
    bool holds_klock; // klock.c
    volatile bool need_resched;
    volatile bool tlb_flush_wanted; // set by another CPU that waits for our TLB flush
    struct task *idle;
    u64 entry_tsc; // TSC at the last entry from user mode, 0 while in user mode: how system time is
                   // told from user time
    u64 deadline_ns;    // clock.c: when timer_tick() is wanted, 0: never
    u64 timer_armed_ns; // clock.c: when the hardware timer fires, 0: it is off
    u64 idle_ns;        // time spent idle, for /proc/stat
    void *hv;           // the hypervisor's per-CPU state
    struct tss tss __aligned(16);
    u64 gdt[GDT_ENTRIES] __aligned(16);
};

extern struct percpu percpu_data[MAX_CPUS];

static inline struct percpu *this_cpu(void)
{
    struct percpu *p;
    asm volatile("mov %%gs:0, %0" : "=r"(p));
    return p;
}

// Sets where entries from user mode find their kernel stack: `top` is its end, 16-byte aligned.
static inline void percpu_set_kernel_stack(u64 top)
{
    struct percpu *cpu = this_cpu();
    cpu->kernel_rsp = top;
    cpu->tss.rsp[0] = top;
}

// CPUs found at boot and started; ids are dense.
u32 cpu_count(void);

#define for_each_cpu(c) for (struct percpu *c = percpu_data; c < percpu_data + cpu_count(); c++)
