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
