// The files of /proc that speak of the whole system.
#include <linux/utsname.h>

#include "kernel/boot/boot_info.h"
#include "kernel/fs/chrdev.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/slab.h"
#include "kernel/procfs/procfs.h"
#include "kernel/task/loadavg.h"
#include "kernel/task/sched.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/percpu.h"

#define HZ 100 // USER_HZ: the unit of CPU times in /proc
#define TICK_NS (NSEC_PER_SEC / HZ)

static u64 kib(u64 frames)
{
    return frames * (PAGE_SIZE / 1024);
}

static int show_meminfo(struct seqtext *s, const struct proc_node *n)
{
    u64 free = kib(frame_free_count());

    seq_printf(s, "MemTotal:       %8lu kB\n", kib(frame_total()));
    seq_printf(s, "MemFree:        %8lu kB\n", free);
    seq_printf(s, "MemAvailable:   %8lu kB\n", free);
    seq_printf(s, "Buffers:        %8d kB\nCached:         %8d kB\n", 0, 0);
    seq_printf(s, "SwapTotal:      %8d kB\nSwapFree:       %8d kB\n", 0, 0);
    seq_printf(s, "Slab:           %8lu kB\n", slab_bytes_used() / 1024);
    return 0;
}

static u64 user_ns_total, system_ns_total;

// Sums the CPU time of all tasks; those that are gone live on in their processes' and parents'
// sums.
static void sum_times(void)
{
    struct task *t;

    user_ns_total = system_ns_total = 0;
    list_for_each (t, &all_tasks, all_link) {
        user_ns_total += t->utime_ns;
        system_ns_total += t->stime_ns;
        if (t->process && t->process->leader == t) {
            user_ns_total += t->process->utime_ns + t->process->child_utime_ns;
            system_ns_total += t->process->stime_ns + t->process->child_stime_ns;
        }
    }
}

static int show_stat(struct seqtext *s, const struct proc_node *n)
{
    u64 idle = 0, switches = 0;
    struct task *t;

    sum_times();
    for_each_cpu (c)
        idle += c->idle_ns;
    list_for_each (t, &all_tasks, all_link)
        switches += t->nvcsw + t->nivcsw;
    seq_printf(s, "cpu  %lu 0 %lu %lu 0 0 0 0 0 0\n", user_ns_total / TICK_NS,
               system_ns_total / TICK_NS, idle / TICK_NS);
    for_each_cpu (c)
        seq_printf(s, "cpu%u %lu 0 %lu %lu 0 0 0 0 0 0\n", c->id,
                   user_ns_total / cpu_count() / TICK_NS, system_ns_total / cpu_count() / TICK_NS,
                   c->idle_ns / TICK_NS);
    seq_printf(s, "intr 0\nctxt %lu\nbtime %lu\nprocesses %u\nprocs_running %u\nprocs_blocked 0\n",
               switches, clock_realtime_offset() / NSEC_PER_SEC, init_pid_ns.last_pid,
               sched_runnable());
    return 0;
}

static int show_uptime(struct seqtext *s, const struct proc_node *n)
{
    u64 up = clock_ns(), idle = 0;

    for_each_cpu (c)
        idle += c->idle_ns;
    seq_printf(s, "%lu.%02lu %lu.%02lu\n", up / NSEC_PER_SEC,
               up % NSEC_PER_SEC / (NSEC_PER_SEC / 100), idle / NSEC_PER_SEC,
               idle % NSEC_PER_SEC / (NSEC_PER_SEC / 100));
    return 0;
}

static int show_loadavg(struct seqtext *s, const struct proc_node *n)
{
    unsigned long loads[3];
    u32 tasks = 0;
    struct task *t;

    loadavg(loads);
    list_for_each (t, &all_tasks, all_link)
        tasks++;
    for (int i = 0; i < 3; i++)
        seq_printf(s, "%lu.%02lu ", loads[i] / LOAD_ONE, loads[i] % LOAD_ONE * 100 / LOAD_ONE);
    seq_printf(s, "%u/%u %u\n", sched_runnable(), tasks, n->ns->last_pid);
    return 0;
}

// CPUID leaves 8000_0002-4: 48 characters.
static void brand(char *text)
{
    u32 *word = (u32 *)text;

    for (u32 leaf = 0x80000002; leaf <= 0x80000004; leaf++) {
        struct cpuid c = cpuid(leaf, 0);
        *word++ = c.eax;
        *word++ = c.ebx;
        *word++ = c.ecx;
        *word++ = c.edx;
    }
    text[48] = 0;
}

static const char *virtualization(void)
{
    if (cpuid(1, 0).ecx & BIT(5))
        return " vmx";
    return cpuid(0x80000000, 0).eax >= 0x80000001 && (cpuid(0x80000001, 0).ecx & BIT(2)) ? " svm"
                                                                                         : "";
}

static int show_cpuinfo(struct seqtext *s, const struct proc_node *n)
{
    char model[49] __aligned(4), vendor[13] __aligned(4);
    struct cpuid c = cpuid(0, 0);
    u32 signature = cpuid(1, 0).eax, family = signature >> 8 & 15, number = signature >> 4 & 15;

    brand(model);
    ((u32 *)vendor)[0] = c.ebx;
    ((u32 *)vendor)[1] = c.edx;
    ((u32 *)vendor)[2] = c.ecx;
    vendor[12] = 0;
    if (family == 15)
        family += signature >> 20 & 255;
    if (family >= 6)
        number |= (signature >> 16 & 15) << 4;
    for_each_cpu (cpu) {
        seq_printf(s, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n",
                   cpu->id, vendor, family, number);
        seq_printf(s, "model name\t: %s\nstepping\t: %u\ncpu MHz\t\t: %lu.%03lu\napicid\t\t: %u\n",
                   model, signature & 15, clock_tsc_khz() / 1000, clock_tsc_khz() % 1000,
                   cpu->apic_id);
        seq_printf(
            s, "flags\t\t: fpu tsc msr pae cx8 apic sep pge cmov fxsr sse sse2 syscall nx lm%s\n\n",
            virtualization());
    }
    return 0;
}

static int show_filesystems(struct seqtext *s, const struct proc_node *n)
{
    for (struct fs_type *t = fs_next(NULL); t; t = fs_next(t))
        seq_printf(s, "%s\t%s\n", t->nodev ? "nodev" : "", t->name);
    return 0;
}

static int show_devices(struct seqtext *s, const struct proc_node *n)
{
    const char *name;

    seq_puts(s, "Character devices:\n");
    for (u32 major = 0; chrdev_next(&major, &name); major++)
        seq_printf(s, "%3u %s\n", major, name);
    seq_puts(s, "\nBlock devices:\n");
    return 0;
}

static int show_cmdline(struct seqtext *s, const struct proc_node *n)
{
    seq_printf(s, "%s\n", boot_info.cmdline);
    return 0;
}

static int show_version(struct seqtext *s, const struct proc_node *n)
{
    seq_puts(s, "Linux version 6.1.0-vivarium (gcc) #1 SMP Vivarium\n");
    return 0;
}

static long self_readlink(const struct proc_node *n, char *buf, size_t size)
{
    int nr = pid_nr(current()->process->pid, n->ns);

    return nr ? snprintf(buf, size, "%d", nr) : -ENOENT;
}

static long thread_self_readlink(const struct proc_node *n, char *buf, size_t size)
{
    int tgid = pid_nr(current()->process->pid, n->ns), tid = pid_nr(current()->pid, n->ns);

    return tgid ? snprintf(buf, size, "%d/task/%d", tgid, tid) : -ENOENT;
}

static long mounts_readlink(const struct proc_node *n, char *buf, size_t size)
{
    return snprintf(buf, size, "self/mounts");
}

const struct proc_entry proc_root[] = {
    {.name = "self", .mode = S_IFLNK | 0777, .readlink = self_readlink},
    {.name = "thread-self", .mode = S_IFLNK | 0777, .readlink = thread_self_readlink},
    {.name = "mounts", .mode = S_IFLNK | 0777, .readlink = mounts_readlink},
    {.name = "cmdline", .mode = S_IFREG | 0444, .show = show_cmdline},
    {.name = "cpuinfo", .mode = S_IFREG | 0444, .show = show_cpuinfo},
    {.name = "devices", .mode = S_IFREG | 0444, .show = show_devices},
    {.name = "filesystems", .mode = S_IFREG | 0444, .show = show_filesystems},
    {.name = "loadavg", .mode = S_IFREG | 0444, .show = show_loadavg},
    {.name = "meminfo", .mode = S_IFREG | 0444, .show = show_meminfo},
    {.name = "stat", .mode = S_IFREG | 0444, .show = show_stat},
    {.name = "uptime", .mode = S_IFREG | 0444, .show = show_uptime},
    {.name = "version", .mode = S_IFREG | 0444, .show = show_version},
    {.name = "sys", .mode = S_IFDIR | 0555, .children = proc_sys},
    PROC_END,
};
