#pragma once
/* Interrupts: from the monitor, through the kernel's chips, windows, shadows and their order. */
#include "tests/oracle/oracle.h"

static void inject(struct vm *v, unsigned vector)
{
    struct kvm_interrupt irq = {.irq = vector};

    SAY_CALL(ioctl(v->vcpu, KVM_INTERRUPT, &irq));
}

/* Handlers of all vectors from 0x20 to 0x2f put their vector out at port 0x11. */
GUEST_CODE(
    handlers, 64,
    ".set vector, 0x20\n.rept 16\n.org handlers + 16 * (vector - 0x20)\npush $vector; jmp 1f\n"
    ".set vector, vector + 1\n.endr\n"
    "1: xchg %rax, (%rsp); out %al, $0x11; mov $0x20, %al; out %al, $0x20; pop %rax; iretq");

static struct vm open_handlers(const uint8_t *code, const uint8_t *end, int chips)
{
    struct vm v = vm_open_with(RAM, chips);

    set_supported_cpuid(&v);
    load(&v, code, end);
    memcpy(v.mem + FREE, handlers, (size_t)(handlers_end - handlers));
    start_64(&v);
    for (unsigned i = 0; i < 16; i++)
        set_gate64(&v, 0x20 + i, FREE + 16 * i);
    return v;
}

GUEST_CODE(windows, 64,
           "cli; out %al, $0x10; sti; nop; nop; out %al, $0x12; cli; out %al, $0x13\n"
           "sti; hlt; out %al, $0x14; sti; hlt");

TEST(interrupt_windows)
{
    struct vm v = open_handlers(windows, windows_end, NO_CHIPS);

    run_and_say(&v, 1);
    inject(&v, 0x21);
    run_and_say(&v, 3);
    v.run->request_interrupt_window = 1;
    run_and_say(&v, 2);
    inject(&v, 0x22);
    v.run->request_interrupt_window = 0;
    run_and_say(&v, 6);
    inject(&v, 0x23);
    run_and_say(&v, 6);
    say_regs(&v);
}

TEST(immediate_exit)
{
    struct vm v = open_handlers(windows, windows_end, NO_CHIPS);

    v.run->immediate_exit = 1;
    run_and_say(&v, 1);
    v.run->immediate_exit = 0;
    run_and_say(&v, 1);
    v.run->immediate_exit = 1;
    run_and_say(&v, 1);
    say_regs(&v);
}

GUEST_CODE(pic, 64,
           "cli; mov $0x11, %al; out %al, $0x20; mov $0x20, %al; out %al, $0x21\n"
           "mov $4, %al; out %al, $0x21; mov $1, %al; out %al, $0x21; mov $0, %al\n"
           "out %al, $0x21; out %al, $0x10; sti; nop; nop; cli; out %al, $0x12; in $0x21, %al\n"
           "out %al, $0x13; mov $0xa, %al; out %al, $0x20; in $0x20, %al; out %al, $0x13\n"
           "out %al, $0x14; hlt");

TEST(pic_priorities)
{
    struct vm v = open_handlers(pic, pic_end, PIC_ONLY);
    static const int line[] = {7, 3, 5, 1};

    run_and_say(&v, 1);
    for (int i = 0; i < 4; i++) {
        struct kvm_irq_level level = {.irq = (unsigned)line[i], .level = 1};
        SAY_CALL(ioctl(v.vm, KVM_IRQ_LINE, &level));
    }
    run_and_say(&v, 8);
    say_regs(&v);
}

/* Gates of all exceptions, 16 bytes apart: the vector to port 0x11, then on. */
GUEST_CODE(nmi_and_irq, 64,
           "cli; out %al, $0x10; sti; nop; out %al, $0x12; cli; out %al, $0x13; hlt\n"
           ".org nmi_and_irq + 0x100\n"
           "push %rax; mov $2, %al; out %al, $0x11; pop %rax; iretq");

static struct vm open_nmi(void)
{
    struct vm v = open_handlers(nmi_and_irq, nmi_and_irq_end, NO_CHIPS);

    set_gate64(&v, 2, CODE + 0x100);
    return v;
}

TEST(nmi_before_an_interrupt)
{
    struct vm v = open_nmi();

    run_and_say(&v, 1);
    inject(&v, 0x21);
    SAY_CALL(ioctl(v.vcpu, KVM_NMI, 0));
    SAY_CALL(ioctl(v.vcpu, KVM_NMI, 0));
    SAY_CALL(ioctl(v.vcpu, KVM_NMI, 0));
    run_and_say(&v, 8);
    say_regs(&v);
}

TEST(nmi_masked_by_the_vmm)
{
    struct kvm_vcpu_events e;
    struct vm v = open_nmi();

    run_and_say(&v, 1);
    SAY_CALL(ioctl(v.vcpu, KVM_GET_VCPU_EVENTS, &e));
    e.nmi.masked = 1;
    e.flags = 0;
    SAY_CALL(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, &e));
    SAY_CALL(ioctl(v.vcpu, KVM_NMI, 0));
    run_and_say(&v, 2);
    SAY_CALL(ioctl(v.vcpu, KVM_GET_VCPU_EVENTS, &e));
    say("nmi injected %u pending %u masked %u\n", e.nmi.injected, e.nmi.pending, e.nmi.masked);
    e.nmi.masked = 0;
    e.flags = 0;
    SAY_CALL(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, &e));
    run_and_say(&v, 4);
}

/* An exception by the VMM, and exceptions that come while it or another is delivered. */
GUEST_CODE(spin_out, 64,
           "out %al, $0x10; out %al, $0x12; hlt\n"
           ".org spin_out + 0x100\n"
           "pop %rbx; mov $0xd, %al; out %al, $0x11; hlt\n"
           ".org spin_out + 0x140\n"
           "pop %rbx; mov $8, %al; out %al, $0x11; hlt\n"
           ".org spin_out + 0x180\n"
           "pop %rbx; mov $0xe, %al; out %al, $0x11; hlt\n");

static void inject_exception_and_say(unsigned vector, bool has_error, bool gates)
{
    struct kvm_vcpu_events e = {
        .exception = {
            .injected = 1, .nr = (uint8_t)vector, .has_error_code = has_error, .error_code = 0x18}};
    struct vm v = vm_open(RAM);

    set_supported_cpuid(&v);
    LOAD(&v, spin_out);
    start_64(&v);
    set_gate64(&v, 8, CODE + 0x140);
    if (gates) {
        set_gate64(&v, 13, CODE + 0x100);
        set_gate64(&v, 14, CODE + 0x180);
    }
    run_and_say(&v, 1);
    SAY_CALL(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, &e));
    run_and_say(&v, 4);
    say("error %llx\n", get_regs(&v).rbx);
    vm_close(&v);
}

TEST(exceptions_in_delivery)
{
    inject_exception_and_say(13, true, true);  /* delivered */
    inject_exception_and_say(6, false, true);  /* no gate: #GP */
    inject_exception_and_say(13, true, false); /* no gate: #DF */
    inject_exception_and_say(14, true, false); /* likewise */
    inject_exception_and_say(8, true, false);  /* delivered */
    inject_exception_and_say(2, false, true);  /* EINVAL */
    inject_exception_and_say(32, false, true); /* EINVAL */
}

/* SS is loaded while an interrupt waits: it comes one instruction later. */
GUEST_CODE(mov_ss, 64,
           "mov %ss, %ecx; out %al, $0x10; sti; mov %ecx, %ss; nop; nop; out %al, $0x12; cli\n"
           "mov %ecx, %ss; out %al, $0x13; hlt");

TEST(mov_ss_shadow)
{
    struct vm v = open_handlers(mov_ss, mov_ss_end, NO_CHIPS);
    struct kvm_vcpu_events e;

    run_and_say(&v, 1);
    inject(&v, 0x21);
    run_and_say(&v, 3);
    CHECK_OK(ioctl(v.vcpu, KVM_GET_VCPU_EVENTS, &e));
    say("shadow %u\n", e.interrupt.shadow);
    run_and_say(&v, 2);
    say_regs(&v);
}
