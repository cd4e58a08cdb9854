#pragma once
/*
 * The oracle: scenarios of /dev/kvm that print what they see in a form in which two implementations
 * can be compared line by line. Nothing printed depends on time, on the host's addresses or on the
 * model of its processor. A scenario is a TEST of tests/guest/test.h, on the machine of
 * tests/guest/kvm_lib.h; it checks nothing itself.
 */
#include "tests/guest/kvm_lib.h"

#define say(...) printf("  " __VA_ARGS__)

/* What a call gave: its value and the error's number. */
#define SAY_CALL(call)                                                                             \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long got_ = (call);                                                                        \
        say("%s: %ld errno %d\n", #call, got_, got_ < 0 ? errno : 0);                              \
    } while (0)

/* The exit that kvm_run holds. */
static inline void say_exit(struct vm *v)
{
    struct kvm_run *r = v->run;
    uint64_t data = 0;

    say("exit %u if %u ready %u", r->exit_reason, r->if_flag, r->ready_for_interrupt_injection);
    if (r->exit_reason == KVM_EXIT_IO) {
        printf(" io %s port %#x size %u count %u data", r->io.direction ? "out" : "in", r->io.port,
               r->io.size, r->io.count);
        for (unsigned i = 0; r->io.direction && i < r->io.size * r->io.count; i++)
            printf(" %02x", ((uint8_t *)r)[r->io.data_offset + i]);
    } else if (r->exit_reason == KVM_EXIT_MMIO) {
        if (r->mmio.is_write)
            memcpy(&data, r->mmio.data, r->mmio.len);
        printf(" mmio %s %#llx len %u data %#llx", r->mmio.is_write ? "write" : "read",
               r->mmio.phys_addr, r->mmio.len, (unsigned long long)data);
    } else if (r->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
        printf(" suberror %u", r->internal.suberror);
    }
    printf("\n");
}

/* General registers, RIP and flags; not RF, which the emulator leaves as VMRUN loaded it. */
static inline void say_regs(struct vm *v)
{
    struct kvm_regs r = get_regs(v);

    say("rax %llx rbx %llx rcx %llx rdx %llx rsi %llx rdi %llx rsp %llx rbp %llx\n", r.rax, r.rbx,
        r.rcx, r.rdx, r.rsi, r.rdi, r.rsp, r.rbp);
    say("r8 %llx r9 %llx r10 %llx r11 %llx r12 %llx r13 %llx r14 %llx r15 %llx\n", r.r8, r.r9,
        r.r10, r.r11, r.r12, r.r13, r.r14, r.r15);
    say("rip %llx rflags %llx\n", r.rip, r.rflags & ~0x10000);
}

static inline void say_segment(const char *name, const struct kvm_segment *s)
{
    say("%s %x base %llx limit %x type %x s %u dpl %u p %u avl %u l %u db %u g %u unusable %u\n",
        name, s->selector, s->base, s->limit, s->type, s->s, s->dpl, s->present, s->avl, s->l,
        s->db, s->g, s->unusable);
}

/* Segments, tables, control registers. */
static inline void say_sregs(struct vm *v)
{
    struct kvm_sregs s = get_sregs(v);

    say_segment("cs", &s.cs);
    say_segment("ds", &s.ds);
    say_segment("es", &s.es);
    say_segment("fs", &s.fs);
    say_segment("gs", &s.gs);
    say_segment("ss", &s.ss);
    say_segment("tr", &s.tr);
    say_segment("ldt", &s.ldt);
    say("gdt %llx %x idt %llx %x\n", s.gdt.base, s.gdt.limit, s.idt.base, s.idt.limit);
    say("cr0 %llx cr2 %llx cr3 %llx cr4 %llx cr8 %llx efer %llx apic_base %llx\n", s.cr0, s.cr2,
        s.cr3, s.cr4, s.cr8, s.efer, s.apic_base);
}

/* KVM_RUN up to HLT, SHUTDOWN, an error or the last of `exits`; reads are answered by 0x11, 0x22...
 */
static inline void run_and_say(struct vm *v, int exits)
{
    uint8_t answer = 0;

    for (int i = 0; i < exits; i++) {
        if (ioctl(v->vcpu, KVM_RUN, 0) < 0) {
            say("KVM_RUN: errno %d\n", errno);
            return;
        }
        say_exit(v);
        struct kvm_run *r = v->run;
        answer += 0x11;
        if (r->exit_reason == KVM_EXIT_IO && !r->io.direction)
            memset((uint8_t *)r + r->io.data_offset, answer, (size_t)r->io.size * r->io.count);
        if (r->exit_reason == KVM_EXIT_MMIO && !r->mmio.is_write)
            memset(r->mmio.data, answer, 8);
        if (r->exit_reason == KVM_EXIT_HLT || r->exit_reason == KVM_EXIT_SHUTDOWN ||
            r->exit_reason == KVM_EXIT_FAIL_ENTRY || r->exit_reason == KVM_EXIT_INTERNAL_ERROR)
            return;
    }
}
