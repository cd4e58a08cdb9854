/* What is printed about a guest: its registers after a crash, and its exits by reason. */
#include "user/vmm/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "user/vmm/say.h"

enum { PORT_LINES = 8, COUNTS = 96 };

void machine_dump(const struct vcpu *v)
{
    struct kvm_regs r;
    struct kvm_sregs s;

    if (ioctl(v->fd, KVM_GET_REGS, &r) < 0 || ioctl(v->fd, KVM_GET_SREGS, &s) < 0)
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

/* One count of every vCPU together. */
struct sum {
    char name[64];
    uint64_t value;
};

static void add_count(struct sum *sums, const char *name, uint64_t value)
{
    unsigned i = 0;

    while (i < COUNTS - 1 && sums[i].name[0] && strcmp(sums[i].name, name) != 0)
        i++;
    snprintf(sums[i].name, sizeof(sums[i].name), "%s", name);
    sums[i].value += value;
}

/* Adds what KVM has counted of one vCPU: KVM_GET_STATS_FD describes itself. */
static void add_counts(struct sum *sums, int fd)
{
    struct kvm_stats_header header;

    if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
        return;
    for (uint32_t i = 0; i < header.num_desc; i++) {
        union {
            struct kvm_stats_desc head;
            char all[sizeof(struct kvm_stats_desc) + sizeof(sums->name)];
        } d = {0};
        size_t size = sizeof(d.head) + header.name_size;
        uint64_t value;
        if (size >= sizeof(d.all) ||
            pread(fd, &d, size, (off_t)(header.desc_offset + i * size)) != (ssize_t)size ||
            pread(fd, &value, sizeof(value), header.data_offset + d.head.offset) != sizeof(value))
            return;
        if (d.head.size == 1) /* no histograms */
            add_count(sums, d.all + sizeof(d.head), value);
    }
}

/* What the kernel counts, which answers most exits itself. */
static void print_kernel_counts(const struct machine *m)
{
    struct sum sums[COUNTS] = {0};

    for (unsigned cpu = 0; cpu < m->vcpu_count; cpu++) {
        int fd = ioctl(m->vcpu[cpu].fd, KVM_GET_STATS_FD, 0);
        if (fd < 0)
            return;
        add_counts(sums, fd);
        close(fd);
    }
    say("counted by KVM, with the exits that it answers itself:");
    for (unsigned i = 0; i < COUNTS && sums[i].name[0]; i++)
        if (sums[i].value)
            say("%12llu %s", (unsigned long long)sums[i].value, sums[i].name);
}

void machine_print_stats(const struct machine *m)
{
    const struct exit_counts *c = &m->counts;

    for (unsigned i = 0; i < sizeof(m->vcpu[0].reason) / sizeof(m->vcpu[0].reason[0]); i++) {
        bool named = i < sizeof(exit_names) / sizeof(exit_names[0]) && exit_names[i];
        unsigned long long n = 0;
        for (unsigned cpu = 0; cpu < m->vcpu_count; cpu++)
            n += m->vcpu[cpu].reason[i];
        if (n)
            say("%12llu exits: %s (%u)", n, named ? exit_names[i] : "other", i);
        if (n && i == KVM_EXIT_IO)
            print_ports(c);
    }
    print_kernel_counts(m);
    say("%12llu changes of interrupt lines", (unsigned long long)c->lines);
    say("%12llu port bytes and %llu mmio accesses to nothing", (unsigned long long)c->ports_nowhere,
        (unsigned long long)c->mmio_nowhere);
}
