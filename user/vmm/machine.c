/* Making the virtual machine: the KVM objects, memory slots, CPUID and the first register values.
 */
#include "user/vmm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "user/vmm/say.h"

enum { CPUID_ENTRIES = 128, PORT_LINES = 8 };

uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void open_kvm(struct machine *m)
{
    m->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (m->kvm_fd < 0)
        die_errno("/dev/kvm");
    int version = ioctl(m->kvm_fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION)
        die(STATUS_USAGE, "/dev/kvm: API version %d, not %d", version, KVM_API_VERSION);
    if (ioctl(m->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) <= 0 ||
        ioctl(m->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0)
        die(STATUS_USAGE, "/dev/kvm: lacks user memory slots or immediate_exit");
    m->vm_fd = ioctl(m->kvm_fd, KVM_CREATE_VM, 0);
    if (m->vm_fd < 0)
        die_errno("KVM_CREATE_VM");
}

static void add_slot(struct machine *m, uint32_t slot, uint64_t start, uint64_t end)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .guest_phys_addr = start,
        .memory_size = end - start,
        .userspace_addr = (uintptr_t)m->ram + start,
    };
    if (ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        die_errno("KVM_SET_USER_MEMORY_REGION: slot %u", slot);
}

static void make_memory(struct machine *m, uint64_t size)
{
    m->ram_size = size;
    m->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m->ram == MAP_FAILED)
        die_errno("%llu MiB of guest memory", (unsigned long long)(size / MIB));
    add_slot(m, 0, 0, HOLE_START);
    add_slot(m, 1, HOLE_END, size);
}

/* One leaf of what KVM supports, less what this machine does not have: any APIC, nesting, MWAIT,
 * and KVM's own paravirtual features. */
static void trim_leaf(struct kvm_cpuid_entry2 *e)
{
    const uint32_t monitor = 1u << 3, vmx = 1u << 5, x2apic = 1u << 21, deadline = 1u << 24,
                   hypervisor = 1u << 31;
    const uint32_t apic = 1u << 9, svm = 1u << 2;

    if (e->function == 1) {
        e->ecx &= ~(monitor | vmx | x2apic | deadline);
        e->ecx |= hypervisor;
        e->edx &= ~apic;
        e->ebx &= 0xffff;
        e->ebx |= 1 << 16;
    } else if (e->function == 0x80000001) {
        e->ecx &= ~svm;
        e->edx &= ~apic;
    } else if (e->function == 0x40000001) {
        e->eax = 0;
    }
}

/* The entry of a leaf without subleaves; made if it is not there and there is room. */
static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *cpuid, uint32_t function)
{
    for (uint32_t i = 0; i < cpuid->nent; i++)
        if (cpuid->entries[i].function == function)
            return &cpuid->entries[i];
    if (cpuid->nent == CPUID_ENTRIES)
        die(STATUS_USAGE, "KVM_GET_SUPPORTED_CPUID: too many leaves");
    struct kvm_cpuid_entry2 *e = &cpuid->entries[cpuid->nent++];
    *e = (struct kvm_cpuid_entry2){.function = function};
    return e;
}

/* Where KVM gives the processor no name it gets one: leaves 0x80000002 to 4 are 48 letters. */
static void name_processor(struct kvm_cpuid2 *cpuid)
{
    static const char name[48] = "Virtual processor of vmm";
    const uint32_t first = 0x80000002;

    if (leaf(cpuid, first)->eax)
        return;
    for (uint32_t i = 0; i < 3; i++) {
        struct kvm_cpuid_entry2 *e = leaf(cpuid, first + i);
        uint32_t part[4];
        memcpy(part, name + i * sizeof(part), sizeof(part));
        e->eax = part[0];
        e->ebx = part[1];
        e->ecx = part[2];
        e->edx = part[3];
    }
}

static void set_cpuid(struct machine *m)
{
    struct kvm_cpuid2 *cpuid =
        calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));

    if (!cpuid)
        die(STATUS_USAGE, "no memory");
    cpuid->nent = CPUID_ENTRIES;
    if (ioctl(m->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
        die_errno("KVM_GET_SUPPORTED_CPUID");
    for (uint32_t i = 0; i < cpuid->nent; i++)
        trim_leaf(&cpuid->entries[i]);
    name_processor(cpuid);
    if (ioctl(m->vcpu_fd, KVM_SET_CPUID2, cpuid) < 0)
        die_errno("KVM_SET_CPUID2");
    free(cpuid);
}

static void make_vcpu(struct machine *m)
{
    m->vcpu_fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, 0);
    if (m->vcpu_fd < 0)
        die_errno("KVM_CREATE_VCPU");
    int size = ioctl(m->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(*m->run))
        die(STATUS_USAGE, "KVM_GET_VCPU_MMAP_SIZE: %d bytes are too few", size);
    m->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu_fd, 0);
    if (m->run == MAP_FAILED)
        die_errno("kvm_run");
    set_cpuid(m);
    int khz = ioctl(m->vcpu_fd, KVM_GET_TSC_KHZ, 0);
    m->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
}

void machine_create(struct machine *m, uint64_t ram_size)
{
    open_kvm(m);
    make_memory(m, ram_size);
    /* Intel's KVM without unrestricted guests wants room for a TSS; elsewhere it means nothing. */
    ioctl(m->vm_fd, KVM_SET_TSS_ADDR, 0xfffbd000ul);
    make_vcpu(m);
    pic_init(&m->pic);
    pit_init(&m->pit);
    cmos_init(&m->cmos, ram_size);
    uart_init(&m->com[0], STDOUT_FILENO);
    uart_init(&m->com[1], STDERR_FILENO);
}

void machine_dump(struct machine *m)
{
    struct kvm_regs r;
    struct kvm_sregs s;

    if (ioctl(m->vcpu_fd, KVM_GET_REGS, &r) < 0 || ioctl(m->vcpu_fd, KVM_GET_SREGS, &s) < 0)
        return;
    say("rip %016llx cs %04x rflags %08llx rsp %016llx", r.rip, s.cs.selector, r.rflags, r.rsp);
    say("rax %016llx rbx %016llx rcx %016llx rdx %016llx", r.rax, r.rbx, r.rcx, r.rdx);
    say("rsi %016llx rdi %016llx rbp %016llx r8  %016llx", r.rsi, r.rdi, r.rbp, r.r8);
    say("r9  %016llx r10 %016llx r11 %016llx r12 %016llx", r.r9, r.r10, r.r11, r.r12);
    say("r13 %016llx r14 %016llx r15 %016llx", r.r13, r.r14, r.r15);
    say("cr0 %08llx cr2 %016llx cr3 %016llx cr4 %08llx efer %04llx", s.cr0, s.cr2, s.cr3, s.cr4,
        s.efer);
}

static const char *const exit_names[] = {
    [KVM_EXIT_UNKNOWN] = "unknown",
    [KVM_EXIT_IO] = "port I/O",
    [KVM_EXIT_HLT] = "hlt",
    [KVM_EXIT_MMIO] = "mmio",
    [KVM_EXIT_IRQ_WINDOW_OPEN] = "irq window",
    [KVM_EXIT_SHUTDOWN] = "shutdown",
    [KVM_EXIT_FAIL_ENTRY] = "fail entry",
    [KVM_EXIT_INTR] = "signal",
    [KVM_EXIT_INTERNAL_ERROR] = "internal error",
};

/* The busiest ports, as many as make a useful line each. */
static void print_ports(const struct exit_counts *c)
{
    uint32_t last = UINT32_MAX;
    unsigned last_port = 0;

    for (int line = 0; line < PORT_LINES; line++) {
        unsigned best = 0;
        uint32_t most = 0;
        for (unsigned port = 0; port < 65536; port++) {
            uint32_t n = c->port[port];
            if (n > most && (n < last || (n == last && port > last_port))) {
                most = n;
                best = port;
            }
        }
        if (!most)
            return;
        say("%12lu of them at port 0x%x", (unsigned long)most, best);
        last = most;
        last_port = best;
    }
}

void machine_print_stats(const struct machine *m)
{
    const struct exit_counts *c = &m->counts;

    for (unsigned i = 0; i < sizeof(c->reason) / sizeof(c->reason[0]); i++) {
        bool named = i < sizeof(exit_names) / sizeof(exit_names[0]) && exit_names[i];
        if (c->reason[i])
            say("%12llu exits: %s (%u)", (unsigned long long)c->reason[i],
                named ? exit_names[i] : "other", i);
        if (c->reason[i] && i == KVM_EXIT_IO)
            print_ports(c);
    }
    say("%12llu interrupts injected", (unsigned long long)c->interrupts);
    say("%12llu port bytes and %llu mmio accesses to nothing", (unsigned long long)c->ports_nowhere,
        (unsigned long long)c->mmio_nowhere);
}
