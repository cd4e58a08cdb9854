// Power off and reset, for QEMU, Bochs and our own monitor, and as far as PCs go without ACPI's
// interpreter.
#include "kernel/x86/power.h"

#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/smp.h"

#define PORT_DEBUG_EXIT 0xf4 // QEMU's isa-debug-exit
#define PORT_PM1A 0x604      // QEMU's ACPI control register (i440fx)
#define PM1A_OFF 0x2000      // SLP_EN, S5
#define PORT_BOCHS 0x8900    // the word "Shutdown", byte by byte
#define PORT_KBC 0x64
#define KBC_RESET 0xfe
#define PORT_RESET 0xcf9
#define RESET_HARD 6

static void __noreturn halt_for_ever(void)
{
    for (;;) {
        cli();
        asm volatile("hlt");
    }
}

void power_off(unsigned status)
{
    cli();
    smp_stop_others();
    outl(PORT_DEBUG_EXIT, status);
    outw(PORT_PM1A, PM1A_OFF);
    for (const char *p = "Shutdown"; *p; p++)
        outb(PORT_BOCHS, *p);
    halt_for_ever();
}

void machine_reboot(void)
{
    struct {
        u16 limit;
        u64 base;
    } __packed no_idt = {0, 0};

    cli();
    smp_stop_others();
    outb(PORT_KBC, KBC_RESET);
    outb(PORT_RESET, RESET_HARD);
    clock_delay_us(10000);
    asm volatile("lidt %0; int3" : : "m"(no_idt));
    halt_for_ever();
}
