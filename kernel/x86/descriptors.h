// GDT, TSS and IDT: what the CPU reads on its way into the kernel. SDM 3A, 3.4, 6.14, 8.7.
#pragma once
#include "kernel/x86/percpu.h"

#define IST_NMI 1
#define IST_DF 2
#define IST_MC 3
#define IST_DB 4
#define IST_COUNT 4

// Fills the IDT, once, before the first descriptors_init_cpu().
void idt_init(void);
// Loads GDT, TSS, IDT and the GS base of this CPU, which becomes cpu.
void descriptors_init_cpu(struct percpu *cpu);

// What LGDT and LIDT load (SDM 3A, 3.5.1).
struct descriptor_table {
    u16 limit;
    u64 base;
} __packed;

static inline void store_gdt(struct descriptor_table *t)
{
    asm volatile("sgdt %0" : "=m"(*t));
}

static inline void store_idt(struct descriptor_table *t)
{
    asm volatile("sidt %0" : "=m"(*t));
}

static inline void load_gdt(const struct descriptor_table *t)
{
    asm volatile("lgdt %0" : : "m"(*t));
}

static inline void load_idt(const struct descriptor_table *t)
{
    asm volatile("lidt %0" : : "m"(*t));
}
