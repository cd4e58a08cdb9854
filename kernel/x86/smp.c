// Starting the other CPUs one by one, and what CPUs ask of each other.
#include "kernel/x86/smp.h"

#include "kernel/lib/string.h"
#include "kernel/x86/acpi.h"
#include "kernel/x86/apic.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/cpu_init.h"
#include "kernel/x86/log.h"
#include "kernel/x86/paging.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/trap.h"

#define START_PATIENCE_US 200000
#define SIPI_GAP_US 200

extern const char ap_trampoline[], ap_trampoline_end[];
extern u8 boot_stacks[MAX_CPUS][BOOT_STACK_SIZE];

u64 ap_stack; // of the CPU that is being started: ap.S
void ap_main(void);

static u32 cpus = 1;
static struct percpu *starting;
static void (*ap_start)(void);
static bool stopping;

u32 cpu_count(void)
{
    return cpus;
}

void ap_main(void)
{
    struct percpu *cpu = starting;

    write_cr3(kernel_pml4());
    cpu_init(cpu);
    apic_init_cpu();
    percpu_set_kernel_stack(ap_stack);
    __atomic_store_n(&cpu->online, true, __ATOMIC_RELEASE);
    ap_start();
    __builtin_unreachable();
}

// Waits until cpu is online, at most `us`.
static bool wait_online(struct percpu *cpu, u64 us)
{
    for (u64 waited = 0; waited < us; waited += 10) {
        if (__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE))
            return true;
        clock_delay_us(10);
    }
    return false;
}

static bool start_cpu(u32 id, u32 apic)
{
    struct percpu *cpu = &percpu_data[id];
    u32 startup = APIC_STARTUP | AP_TRAMPOLINE >> PAGE_SHIFT;

    cpu->id = id;
    cpu->apic_id = apic;
    starting = cpu;
    ap_stack = (u64)boot_stacks[id] + BOOT_STACK_SIZE;
    apic_send(apic, APIC_INIT);
    clock_delay_us(SIPI_GAP_US);
    apic_send(apic, startup);
    if (wait_online(cpu, SIPI_GAP_US))
        return true;
    apic_send(apic, startup);
    return wait_online(cpu, START_PATIENCE_US);
}

void smp_start(void (*entry)(void))
{
    ap_start = entry;
    if (!apic_present())
        return;
    memcpy(phys_to_virt(AP_TRAMPOLINE), ap_trampoline, ap_trampoline_end - ap_trampoline);
    for (u32 i = 0; i < madt.cpu_count; i++) {
        if (madt.apic_id[i] == percpu_data[0].apic_id)
            continue;
        if (start_cpu(cpus, madt.apic_id[i]))
            cpus++;
        else
            kprintf("smp: CPU with APIC id %u does not start\n", madt.apic_id[i]);
    }
    kprintf("smp: %u CPU%s\n", cpus, cpus == 1 ? "" : "s");
}

void smp_poll(void)
{
    struct percpu *cpu = this_cpu();

    if (__atomic_load_n(&cpu->tlb_flush_wanted, __ATOMIC_ACQUIRE)) {
        tlb_flush_local();
        __atomic_store_n(&cpu->tlb_flush_wanted, false, __ATOMIC_RELEASE);
    }
    while (__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        cli();
        asm volatile("hlt");
    }
}

void smp_stop_others(void)
{
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    ipi_send_others(VEC_STOP);
}

void ipi_send(u32 cpu_id, u8 vector)
{
    if (apic_present())
        apic_send(percpu_data[cpu_id].apic_id, APIC_FIXED | vector);
}

void ipi_send_others(u8 vector)
{
    for_each_cpu (cpu)
        if (cpu != this_cpu() && cpu->online)
            ipi_send(cpu->id, vector);
}
