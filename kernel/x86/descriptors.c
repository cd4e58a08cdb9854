// GDT, TSS and IDT. Each CPU has its GDT and TSS in its percpu structure; the IDT is shared.
#include "kernel/x86/descriptors.h"

#include "kernel/lib/string.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/trap.h"

#define IST_STACK_SIZE 4096
#define VECTORS 256
#define GATE_INTERRUPT 0x8e // present, 64-bit interrupt gate: IF is cleared
#define GATE_USER 0x60      // DPL 3: user mode may raise it by INT
#define STUB_SIZE 16        // trap_entry.S aligns each entry to this

struct gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_middle;
    u32 offset_high, reserved;
};
static_assert(sizeof(struct gate) == 16, "SDM 3A, figure 6-8");
static_assert(sizeof(struct tss) == 104, "SDM 3A, figure 8-11");

struct table_pointer {
    u16 limit;
    u64 base;
} __packed;

struct percpu percpu_data[MAX_CPUS];

static struct gate idt[VECTORS] __aligned(16);
static u8 ist_stacks[MAX_CPUS][IST_COUNT][IST_STACK_SIZE] __aligned(16);

extern char trap_stubs[];

static void set_gate(unsigned vector, u8 ist, u8 type)
{
    u64 entry = (u64)trap_stubs + vector * STUB_SIZE;

    idt[vector] = (struct gate){.offset_low = (u16)entry,
                                .offset_middle = (u16)(entry >> 16),
                                .offset_high = (u32)(entry >> 32),
                                .selector = SEL_KERNEL_CODE,
                                .ist = ist,
                                .type = type};
}

void idt_init(void)
{
    for (unsigned i = 0; i < VECTORS; i++)
        set_gate(i, 0, GATE_INTERRUPT);
    set_gate(VEC_BP, 0, GATE_INTERRUPT | GATE_USER);
    set_gate(VEC_OF, 0, GATE_INTERRUPT | GATE_USER);
    set_gate(VEC_NMI, IST_NMI, GATE_INTERRUPT);
    set_gate(VEC_DF, IST_DF, GATE_INTERRUPT);
    set_gate(VEC_MC, IST_MC, GATE_INTERRUPT);
    set_gate(VEC_DB, IST_DB, GATE_INTERRUPT);
}

static void fill_gdt(struct percpu *cpu)
{
    u64 tss = (u64)&cpu->tss, limit = sizeof(cpu->tss) - 1;
    u64 *gdt = cpu->gdt;

    gdt[SEL_KERNEL_CODE / 8] = 0x00af9b000000ffff;
    gdt[SEL_KERNEL_DATA / 8] = 0x00cf93000000ffff;
    // SEL_USER_CODE32 stays a null descriptor: there is no 32-bit user mode, SYSRET only counts
    // over it.
    gdt[SEL_USER_DATA / 8] = 0x00cff3000000ffff;
    gdt[SEL_USER_CODE / 8] = 0x00affb000000ffff;
    gdt[SEL_TSS / 8] = limit | (tss & 0xffffff) << 16 | 0x89UL << 40 | (tss >> 24 & 0xff) << 56;
    gdt[SEL_TSS / 8 + 1] = tss >> 32;
}

void descriptors_init_cpu(struct percpu *cpu)
{
    struct table_pointer gdt = {sizeof(cpu->gdt) - 1, (u64)cpu->gdt};
    struct table_pointer idt_pointer = {sizeof(idt) - 1, (u64)idt};

    fill_gdt(cpu);
    cpu->self = cpu;
    cpu->tss.iomap_base = sizeof(cpu->tss); // no I/O permission bitmap
    for (int i = 0; i < IST_COUNT; i++)
        cpu->tss.ist[i] = (u64)ist_stacks[cpu->id][i] + IST_STACK_SIZE;
    asm volatile("lgdt %0" : : "m"(gdt));
    asm volatile("lidt %0" : : "m"(idt_pointer));
    asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %1, %%fs; mov %1, %%gs"
                 :
                 : "r"(SEL_KERNEL_DATA), "r"(0)
                 : "memory");
    asm volatile("ltr %w0" : : "r"(SEL_TSS));
    wrmsr(MSR_GS_BASE, (u64)cpu);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
}
