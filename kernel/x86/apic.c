// The local APIC.
#include "kernel/x86/apic.h"

#include "kernel/x86/acpi.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/paging.h"
#include "kernel/x86/trap.h"

#define CPUID1_EDX_APIC BIT(9)
#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_X2APIC BIT(10)
#define MSR_X2APIC 0x800 // register offset / 16 is added

#define REG_ID 0x20
#define REG_TPR 0x80
#define REG_EOI 0xb0
#define REG_SVR 0xf0
#define REG_ICR 0x300
#define REG_ICR_HIGH 0x310
#define REG_LVT_TIMER 0x320
#define REG_LVT_LINT0 0x350
#define REG_LVT_LINT1 0x360
#define REG_LVT_ERROR 0x370
#define REG_TIMER_INITIAL 0x380
#define REG_TIMER_CURRENT 0x390
#define REG_TIMER_DIVIDE 0x3e0

#define SVR_ENABLE 0x100
#define LVT_MASKED 0x10000
#define LVT_NMI 0x400
#define DIVIDE_BY_1 0xb
#define ICR_PENDING 0x1000

static volatile u8 *registers; // xAPIC; NULL with x2APIC
static bool present;

static u32 reg_read(u32 reg)
{
    if (registers)
        return *(volatile u32 *)(registers + reg);
    return (u32)rdmsr(MSR_X2APIC + reg / 16);
}

static void reg_write(u32 reg, u32 value)
{
    if (registers)
        *(volatile u32 *)(registers + reg) = value;
    else
        wrmsr(MSR_X2APIC + reg / 16, value);
}

bool apic_present(void)
{
    return present;
}

bool cpu_has_apic(void)
{
    return cpuid(1, 0).edx & CPUID1_EDX_APIC;
}

void apic_init(void)
{
    if (!cpu_has_apic() || !madt.cpu_count || !madt.has_ioapic)
        return;
    if (!(rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC))
        registers = mmio_map(madt.lapic, PAGE_SIZE);
    present = true;
    apic_init_cpu();
}

void apic_init_cpu(void)
{
    wrmsr(MSR_APIC_BASE,
          rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | (registers ? 0 : APIC_BASE_X2APIC));
    reg_write(REG_TPR, 0);
    reg_write(REG_SVR, SVR_ENABLE | VEC_SPURIOUS);
    reg_write(REG_LVT_TIMER, LVT_MASKED | VEC_TIMER);
    reg_write(REG_LVT_LINT0, LVT_MASKED);
    reg_write(REG_LVT_LINT1, LVT_NMI);
    reg_write(REG_LVT_ERROR, LVT_MASKED);
    reg_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_eoi();
}

u32 apic_id(void)
{
    return registers ? reg_read(REG_ID) >> 24 : reg_read(REG_ID);
}

void apic_eoi(void)
{
    if (present)
        reg_write(REG_EOI, 0);
}

void apic_send(u32 apic, u32 command)
{
    if (!registers) {
        wrmsr(MSR_X2APIC + REG_ICR / 16, (u64)apic << 32 | command);
        return;
    }
    while (reg_read(REG_ICR) & ICR_PENDING)
        cpu_relax();
    reg_write(REG_ICR_HIGH, apic << 24);
    reg_write(REG_ICR, command);
}

void apic_timer_start(u32 count)
{
    reg_write(REG_LVT_TIMER, VEC_TIMER);
    reg_write(REG_TIMER_INITIAL, count);
}

u32 apic_timer_count(void)
{
    return reg_read(REG_TIMER_CURRENT);
}
