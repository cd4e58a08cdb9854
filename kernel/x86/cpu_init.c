// Setting up the CPU that runs this: protections, SYSCALL, FPU.
#include "kernel/x86/cpu_init.h"

#include "kernel/x86/cpu.h"
#include "kernel/x86/descriptors.h"
#include "kernel/x86/fpu.h"
#include "kernel/x86/log.h"
#include "kernel/x86/trap.h"

#define CPUID7_EBX_SMEP BIT(7)
#define CPUID7_EBX_SMAP BIT(20)
#define CPUID7_ECX_UMIP BIT(2)
#define PAT_RESET 0x0007040600070406 // SDM 3A, 12.12.4: index 3 (PCD | PWT) is uncached

bool cpu_has_smap;

static u64 protections(void)
{
    u64 cr4 = 0;

    if (cpuid(0, 0).eax < 7)
        return 0;
    struct cpuid c = cpuid(7, 0);
    if (c.ebx & CPUID7_EBX_SMEP)
        cr4 |= CR4_SMEP;
    if (c.ebx & CPUID7_EBX_SMAP)
        cr4 |= CR4_SMAP;
    if (c.ecx & CPUID7_ECX_UMIP)
        cr4 |= CR4_UMIP;
    return cr4;
}

void cpu_init(struct percpu *cpu)
{
    u64 cr4 = CR4_PAE | CR4_PGE | protections();

    descriptors_init_cpu(cpu);
    if (!(rdmsr(MSR_EFER) & EFER_NXE))
        panic("cpu: this CPU cannot protect pages from execution (NX)\n");
    write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
    write_cr4(cr4);
    cpu_has_smap = cr4 & CR4_SMAP;
    wrmsr(MSR_PAT, PAT_RESET);
    syscall_init_cpu();
    fpu_init_cpu();
}

void cpu_describe(void)
{
    u32 name[13] = {0};
    u64 cr4 = read_cr4();

    if (cpuid(0x80000000, 0).eax >= 0x80000004) {
        for (u32 i = 0; i < 3; i++) {
            struct cpuid c = cpuid(0x80000002 + i, 0);
            name[4 * i] = c.eax;
            name[4 * i + 1] = c.ebx;
            name[4 * i + 2] = c.ecx;
            name[4 * i + 3] = c.edx;
        }
    }
    kprintf("cpu: %s: NX WP%s%s%s\n", (const char *)name, cr4 & CR4_SMEP ? " SMEP" : "",
            cr4 & CR4_SMAP ? " SMAP" : "", cr4 & CR4_UMIP ? " UMIP" : "");
}
