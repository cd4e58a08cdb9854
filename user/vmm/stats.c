/* What is printed about a guest: its registers after a crash, and its exits by reason. */
#include "user/vmm/machine.h"

#include <stdio.h>
#include <sys/ioctl.h>

#include "user/vmm/say.h"

enum { PORT_LINES = 8 };

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

/* What the kernel counts, which answers most exits itself. Linux does not say it. */
static void print_total(void)
{
    char line[128];
    unsigned long long n;
    FILE *status = fopen("/proc/self/status", "r");

    while (status && fgets(line, sizeof(line), status))
        if (sscanf(line, "VivExits: %llu", &n) == 1)
            say("%12llu exits of all vCPUs, with those that KVM answers", n);
    if (status)
        fclose(status);
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
    print_total();
    say("%12llu changes of interrupt lines", (unsigned long long)c->lines);
    say("%12llu port bytes and %llu mmio accesses to nothing", (unsigned long long)c->ports_nowhere,
        (unsigned long long)c->mmio_nowhere);
}
