// The one place that knows every part of the kernel and starts them in order.
#include "container/cgroup/cgroup.h"
#include "container/overlay/overlay.h"
#include "container/cgroupfs/cgroupfs.h"
#include "hv/hv.h"
#include "hv/root.h"
#include "kernel/boot/boot_info.h"
#include "kernel/dev/tty.h"
#include "kernel/fs/vfs.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/selftest.h"
#include "kernel/procfs/procfs.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/exec.h"
#include "kernel/task/sched.h"
#include "kernel/task/selftest.h"
#include "kernel/task/task.h"
#include "kernel/x86/acpi.h"
#include "kernel/x86/apic.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/cpu_init.h"
#include "kernel/x86/descriptors.h"
#include "kernel/x86/irq.h"
#include "kernel/x86/klock.h"
#include "kernel/x86/log.h"
#include "kernel/x86/paging.h"
#include "kernel/x86/power.h"
#include "kernel/x86/smp.h"
#include "kernel/x86/trap.h"

#define COM1 0x3f8
#define COM2 0x2f8

extern char kernel_end[];

void __noreturn kernel_main(paddr_t multiboot);

// Where the log goes and what a panic does: from the command line.
static void read_options(void)
{
    char value[32];

    if (boot_option("viv.log", value, sizeof(value)) && strcmp(value, "ttyS1") == 0)
        log_set_port(COM2);
    if (boot_option("viv.panic", value, sizeof(value)) && strcmp(value, "off") == 0)
        panic_set_power_off(true);
}

// The end of guest time, once there is a clock.
static void set_limit(void)
{
    char value[32];
    u64 seconds;

    if (boot_option("viv.limit", value, sizeof(value)) && parse_u64(value, false, &seconds) == 0)
        clock_set_limit(seconds * NSEC_PER_SEC);
}

static void describe_boot(void)
{
    u64 ram = 0;

    for (unsigned i = 0; i < boot_info.ram_count; i++)
        ram += boot_info.ram[i].end - boot_info.ram[i].start;
    kprintf("Vivarium\n");
    kprintf("boot: %lu MiB of RAM, %u modules, command line: %s\n", ram >> 20,
            boot_info.module_count, boot_info.cmdline);
    cpu_describe();
}

// Floor 0: the CPU, its tables, clocks and interrupts.
static void start_x86(paddr_t multiboot)
{
    log_set_port(COM1);
    idt_init();
    cpu_init(&percpu_data[0]);
    percpu_data[0].online = true;
    klock_acquire();
    boot_info_init(multiboot, virt_to_phys(kernel_end));
    read_options();
    describe_boot();
    paging_init();
    if (cpu_has_apic())
        acpi_init();
    irq_quiet();
    apic_init();
    percpu_data[0].apic_id = apic_present() ? apic_id() : 0;
    irq_init();
    clock_init();
    set_limit();
}

static void start_other_cpu(void)
{
    root_enter_cpu();
    klock_acquire();
    sched_start_cpu();
}

// Parts of the kernel that can be made to fail on purpose: viv.test=NAME.
static void run_boot_test(void)
{
    char name[32];

    asm volatile("int3");
    assert(trap_breakpoints() == 1);
    if (!boot_option("viv.test", name, sizeof(name)))
        return;
    if (strcmp(name, "panic") == 0)
        panic("viv.test=panic");
    if (strcmp(name, "fault") == 0)
        *(volatile int *)parse_u64 = 0; // read-only text
    if (strcmp(name, "root") == 0)
        *(volatile u64 *)phys_to_virt(root_nested) = 0; // the hypervisor's own
    if (strcmp(name, "off") == 0)
        power_off(0);
    if (strcmp(name, "reboot") == 0)
        machine_reboot();
    if (strcmp(name, "sched") == 0) {
        sched_selftest();
        sched_start_cpu();
    }
    if (strcmp(name, "mm") == 0) {
        mm_selftest();
        power_off(0);
    }
}

// The first process, pid 1.
static void start_init(void *unused)
{
    static const char *const argv[] = {"/sbin/init", NULL};
    static const char *const envp[] = {"HOME=/root", "PATH=/bin:/sbin:/test", "TERM=xterm", NULL};

    int err = exec_kernel(argv[0], argv, envp);
    if (err) {
        kprintf("cannot run %s (errno %d): the boot modules hold no such program that works\n",
                argv[0], -err);
        power_off(1);
    }
}

void kernel_main(paddr_t multiboot)
{
    start_x86(multiboot);
    // Floor 1: memory and what is charged for it. Floor 2: tasks.
    cgroup_init();
    frame_init();
    kprintf("mm: %lu MiB of RAM to give out\n", frame_free_count() >> (20 - PAGE_SHIFT));
    task_init();
    // Floors 3 to 5: files, devices, worlds, system calls.
    vfs_init();
    mem_init();
    tty_init();
    serial_init();
    pty_init();
    procfs_init();
    overlay_init();
    cgroupfs_init();
    hv_init();
    root_init();
    root_enter_cpu();
    syscall_init();

    smp_start(start_other_cpu);
    run_boot_test();
    if (!kthread_create("init", start_init, NULL))
        panic("no memory for the first process\n");
    sched_start_cpu();
}
