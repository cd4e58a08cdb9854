/* The 8259 pair and the 8254 in the kernel, HLT and NMIs with them. */
#include "tests/guest/kvm_lib.h"

enum { BASE = 0x20, BASE2 = 0x28 };

/* Both chips: vectors from BASE and BASE2, edges, the slave on input 2; no input masked. */
#define PIC_START                                                                                  \
    "mov $0x11, %al; out %al, $0x20; out %al, $0xa0\n"                                             \
    "mov $0x20, %al; out %al, $0x21; mov $0x28, %al; out %al, $0xa1\n"                             \
    "mov $4, %al; out %al, $0x21; mov $2, %al; out %al, $0xa1\n"                                   \
    "mov $1, %al; out %al, $0x21; out %al, $0xa1\n"                                                \
    "xor %eax, %eax; out %al, $0x21; out %al, $0xa1\n"
/* Channel 0 of the 8254 every 1193 clocks, which is a millisecond. */
#define PIT_1KHZ                                                                                   \
    "mov $0x34, %al; out %al, $0x43; mov $0xa9, %al; out %al, $0x40; mov $4, %al; out %al, "       \
    "$0x40\n"
#define SAY(text) "mov $" text ", %al; out %al, $0x10\n"
#define EOI "mov $0x20, %al; out %al, $0x20\n"
#define EOI2 "mov $0x20, %al; out %al, $0xa0; out %al, $0x20\n"

static int line_status(struct vm *v, unsigned irq, unsigned level)
{
    struct kvm_irq_level line = {.irq = irq, .level = level};

    CHECK_OK(ioctl(v->vm, KVM_IRQ_LINE_STATUS, &line));
    return (int)line.status;
}

static void line(struct vm *v, unsigned irq, unsigned level)
{
    struct kvm_irq_level l = {.irq = irq, .level = level};

    CHECK_OK(ioctl(v->vm, KVM_IRQ_LINE, &l));
}

static void pulse(struct vm *v, unsigned irq)
{
    line(v, irq, 1);
    line(v, irq, 0);
}

static struct vm open_guest(const uint8_t *code, const uint8_t *end)
{
    struct vm v = vm_open_with(RAM, CHIPS);

    load(&v, code, end);
    start_64(&v);
    for (unsigned i = 0; i < 16; i++)
        set_gate64(&v, BASE + i, CODE + 0x200 + 32 * i);
    set_gate64(&v, 2, CODE + 0x400);
    return v;
}
#define OPEN(name) open_guest(name, name##_end)

TEST(the_chips_are_made_once_and_before_the_first_vcpu)
{
    struct vm v = vm_open_with(RAM, CHIPS);
    struct kvm_pit_config pit = {0};
    struct kvm_interrupt irq = {.irq = 0x40};

    CHECK_ERR(ioctl(v.vm, KVM_CREATE_IRQCHIP, 0), EEXIST);
    CHECK_ERR(ioctl(v.vm, KVM_CREATE_PIT2, &pit), EEXIST);
    CHECK_ERR(ioctl(v.vcpu, KVM_INTERRUPT, &irq), ENXIO);
    vm_close(&v);
    v = vm_open(RAM);
    struct kvm_irq_level l = {.irq = 1, .level = 1};
    CHECK_ERR(ioctl(v.vm, KVM_CREATE_IRQCHIP, 0), EINVAL);
    CHECK_ERR(ioctl(v.vm, KVM_IRQ_LINE, &l), ENXIO);
    CHECK_ERR(ioctl(v.vm, KVM_IRQ_LINE, NULL), EFAULT);
    vm_close(&v);
}

GUEST_CODE(two_lines, 64,
           PIC_START "1: " SAY("1") "sti; hlt; cli; jmp 1b\n"
                                    ".org two_lines + 0x200 + 32 * 1\n push %rax\n" SAY("0xe1") EOI
           "pop %rax; iretq\n"
           ".org two_lines + 0x200 + 32 * 3\n push %rax\n" SAY("0xe3") EOI
           "pop %rax; iretq\n"
           ".org two_lines + 0x200 + 32 * 9\n push %rax\n" SAY("0xe9") EOI2 "pop %rax; iretq");

TEST(lines_become_interrupts_in_the_order_of_the_inputs)
{
    struct vm v = OPEN(two_lines);

    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(line_status(&v, 3, 1), 1);
    CHECK(line_status(&v, 3, 0) > 0);
    CHECK_EQ(line_status(&v, 3, 1), 0); /* the first still waits */
    line(&v, 3, 0);
    CHECK_EQ(line_status(&v, 1, 1), 1);
    CHECK_EQ(run_to_out(&v, 0x10), 0xe1);
    CHECK_EQ(line_status(&v, 9, 1), 1); /* on the slave, so before input 3 */
    CHECK_EQ(run_to_out(&v, 0x10), 0xe9);
    CHECK_EQ(run_to_out(&v, 0x10), 0xe3);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    pulse(&v, 3);
    CHECK_EQ(run_to_out(&v, 0x10), 0xe3);
    CHECK_EQ(line_status(&v, 200, 1), -1); /* leads nowhere */
    vm_close(&v);
}

GUEST_CODE(masked_line, 64,
           PIC_START "mov $0xf7, %al; out %al, $0x21\n" SAY("1") /* all but input 3 */
           "sti; nop; nop\n" SAY("2") "cli; mov $0xf5, %al; out %al, $0x21\n" SAY(
               "3") "sti; nop; hlt\n"
                    ".org masked_line + 0x200 + 32 * 1\n" SAY("0xe1") EOI
           "iretq\n"
           ".org masked_line + 0x200 + 32 * 3\n" SAY("0xe3") EOI "iretq");

TEST(a_masked_request_waits_until_it_is_unmasked)
{
    struct vm v = OPEN(masked_line);

    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(line_status(&v, 1, 1), -1);
    CHECK_EQ(run_to_out(&v, 0x10), 2);
    CHECK_EQ(run_to_out(&v, 0x10), 3);
    CHECK_EQ(run_to_out(&v, 0x10), 0xe1);
    vm_close(&v);
}

GUEST_CODE(
    level_line, 64,
    PIC_START
    "mov $8, %al; mov $0x4d0, %edx; out %al, (%dx); in (%dx), %al; out %al, $0x11\n"
    "mov $7, %al; out %al, (%dx); in (%dx), %al; out %al, $0x11; mov $8, %al; out %al, (%dx)\n"
    "sti; 1: hlt; jmp 1b\n"
    ".org level_line + 0x200 + 32 * 3\n" SAY("0xe3") EOI SAY("4") "iretq");

TEST(a_level_line_interrupts_until_it_is_low)
{
    struct vm v = OPEN(level_line);

    CHECK_EQ(run_to_out(&v, 0x11), 8);
    CHECK_EQ(run_to_out(&v, 0x11), 0); /* the timer's and the keyboard's are edges always */
    line(&v, 3, 1);
    CHECK_EQ(run_to_out(&v, 0x10), 0xe3);
    CHECK_EQ(run_to_out(&v, 0x10), 4);
    CHECK_EQ(run_to_out(&v, 0x10), 0xe3);
    line(&v, 3, 0);
    CHECK_EQ(run_to_out(&v, 0x10), 4);
    v.run->immediate_exit = 1;
    CHECK_ERR(ioctl(v.vcpu, KVM_RUN, 0), EINTR);
    vm_close(&v);
}

GUEST_CODE(registers, 64,
           PIC_START
           "mov $0x0a, %al; out %al, $0x20; in $0x20, %al; out %al, $0x11\n" /* IRR */
           "sti; nop; cli; hlt\n"
           ".org registers + 0x200 + 32 * 5\n"
           "mov $0x0b, %al; out %al, $0x20; in $0x20, %al; out %al, $0x11\n" /* ISR */
           "mov $0x65, %al; out %al, $0x20; in $0x20, %al; out %al, $0x11\n" /* specific EOI */
           "mov $0x0c, %al; out %al, $0x20; in $0x20, %al; out %al, $0x11\n" /* poll */
           "in $0x20, %al; out %al, $0x11; iretq");

TEST(request_service_and_poll_registers_read_as_the_data_sheet_says)
{
    struct vm v = OPEN(registers);

    pulse(&v, 5);
    line(&v, 6, 1);
    CHECK_EQ(run_to_out(&v, 0x11), 0); /* the initialisation forgot the edges */
    pulse(&v, 5);
    pulse(&v, 7);
    CHECK_EQ(run_to_out(&v, 0x11), 0x20);
    CHECK_EQ(run_to_out(&v, 0x11), 0);
    CHECK_EQ(run_to_out(&v, 0x11), 0x87);
    CHECK_EQ(run_to_out(&v, 0x11), 0x80);
    vm_close(&v);
}

GUEST_CODE(ticks, 64,
           PIC_START PIT_1KHZ
           "xor %ebx, %ebx\n"
           "1: sti; hlt; cmp $10, %ebx; jb 1b; cli\n" SAY("1") ".org ticks + 0x200\n inc %ebx\n" EOI
                                                               "iretq");

TEST(hlt_sleeps_from_tick_to_tick)
{
    struct vm v = OPEN(ticks);

    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK(get_regs(&v).rbx >= 10);
    vm_close(&v);
}

/* 20 ms by channel 2 with interrupts off; then with them on until 18 ticks have come. %r8: cycles.
 */
GUEST_CODE(late_ticks, 64,
           PIC_START "xor %ebx, %ebx; rdtsc; mov %eax, %r8d\n" PIT_1KHZ
                     "mov $1, %al; out %al, $0x61; mov $0xb0, %al; out %al, $0x43\n"
                     "mov $0x36, %al; out %al, $0x42; mov $0x5d, %al; out %al, $0x42\n"
                     "1: in $0x61, %al; test $0x20, %al; jz 1b\n"
                     "sti; 1: cmp $18, %ebx; jb 1b; cli; rdtsc; sub %r8d, %eax; mov %eax, %r8d\n"
                     "out %al, $0x10\n"
                     ".org late_ticks + 0x200\n inc %ebx\n" EOI "iretq");

TEST(lost_ticks_come_when_the_guest_listens)
{
    struct vm v = OPEN(late_ticks);

    run_to_out(&v, 0x10);
    uint64_t us = get_regs(&v).r8 * 1000 / (uint64_t)ioctl(v.vcpu, KVM_GET_TSC_KHZ, 0);
    if (us < 20000 || us > 35000) /* 38 ms if those of the first 20 were lost */
        FAIL("18 ticks at 1 kHz, the first 20 ms in one, took %lu us", (unsigned long)us);
    vm_close(&v);
}

GUEST_CODE(
    pit_registers, 64,
    "mov $0x36, %al; out %al, $0x43; mov $0xfe, %al; out %al, $0x40; inc %eax; out %al, $0x40\n"
    "mov $0xe2, %al; out %al, $0x43; in $0x40, %al; out %al, $0x11\n" /* status */
    "mov $0x00, %al; out %al, $0x43\n" /* latch: the count stays while it is read */
    "in $0x40, %al; mov %al, %bl; in $0x40, %al; mov %al, %bh; in $0x40, %al; out %al, $0x11\n"
    "mov $0x70, %al; out %al, $0x43; mov $5, %al; out %al, $0x41; mov $0, %al; out %al, $0x41\n"
    "1: mov $0xe4, %al; out %al, $0x43; in $0x41, %al; test $0x80, %al; jz 1b; out %al, $0x11\n");

TEST(the_8254_reads_back_status_and_counts)
{
    struct vm v = OPEN(pit_registers);

    CHECK_EQ(run_to_out(&v, 0x11) & 0x7f, 0x36);
    run_to_out(&v, 0x11);
    CHECK((get_regs(&v).rbx & 1) == 0);   /* mode 3 counts in twos */
    CHECK_EQ(run_to_out(&v, 0x11), 0xb0); /* mode 0 has ended: OUT is high */
    vm_close(&v);
}

/* An NMI's handler, in which a second one waits for IRET; then a halt with interrupts off. */
GUEST_CODE(nmis, 64,
           SAY("1") SAY("2") "cli; hlt\n" SAY(
               "3") "hlt\n"
                    ".org nmis + 0x400\n push %rax\n" SAY("0xa1") "inc %ebx; nop\n" SAY(
                        "0xa2") "pop %rax; iretq");

TEST(an_nmi_waits_for_the_iret_of_another)
{
    struct vm v = OPEN(nmis);

    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_OK(ioctl(v.vcpu, KVM_NMI));
    CHECK_EQ(run_to_out(&v, 0x10), 0xa1);
    for (int i = 0; i < 3; i++)
        CHECK_OK(ioctl(v.vcpu, KVM_NMI)); /* no more than one waits */
    CHECK_EQ(run_to_out(&v, 0x10), 0xa2);
    CHECK_EQ(get_regs(&v).rbx, 1);
    CHECK_EQ(run_to_out(&v, 0x10), 0xa1);
    CHECK_EQ(get_regs(&v).rsp, STACK - 48); /* the first handler's frame is gone */
    CHECK_EQ(run_to_out(&v, 0x10), 0xa2);
    CHECK_EQ(run_to_out(&v, 0x10), 2);
    CHECK_EQ(get_regs(&v).rbx, 2);
    CHECK_EQ(get_regs(&v).rflags & 0x100, 0);
    vm_close(&v);
}

GUEST_CODE(shadows, 64,
           PIC_START SAY("1") "sti; nop; nop; cli; hlt\n"
                              ".org shadows + 0x200 + 32 * 4\n push %rax\n" SAY(
                                  "0xe4") "mov 8(%rsp), %rcx\n" EOI "pop %rax; iretq");

TEST(an_interrupt_waits_for_the_end_of_the_sti_shadow)
{
    struct vm v = OPEN(shadows);

    CHECK_EQ(run_to_out(&v, 0x10), 1);
    uint64_t rip = get_regs(&v).rip;
    pulse(&v, 4);
    CHECK_EQ(run_to_out(&v, 0x10), 0xe4);
    uint64_t pushed;
    memcpy(&pushed, v.mem + STACK - 40, sizeof pushed);
    CHECK(pushed > rip && v.mem[pushed - 2] == 0xfb && v.mem[pushed - 1] == 0x90);
    vm_close(&v);
}

GUEST_CODE(halted, 64,
           SAY("1") "cli; hlt\n" SAY("3") ".org halted + 0x400\n push %rax\n" SAY(
               "0xa1") "pop %rax; iretq");

static void on_alarm(int signal)
{
    (void)signal;
}

TEST(a_signal_ends_the_sleep_and_an_nmi_the_halt_with_interrupts_off)
{
    struct vm v = OPEN(halted);
    struct sigaction action = {.sa_handler = on_alarm};

    sigaction(SIGALRM, &action, NULL);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    alarm(1);
    CHECK_ERR(ioctl(v.vcpu, KVM_RUN, 0), EINTR);
    CHECK_EQ(v.run->exit_reason, KVM_EXIT_INTR);
    CHECK_OK(ioctl(v.vcpu, KVM_NMI));
    CHECK_EQ(run_to_out(&v, 0x10), 0xa1);
    CHECK_EQ(run_to_out(&v, 0x10), 3);
    vm_close(&v);
}

/* Invariant 4: whatever host interrupts, missing pages and shadows are in the way. */
GUEST_CODE(once, 64,
           PIC_START "1: " SAY("1") "sti; hlt; cli; jmp 1b\n"
                                    ".org once + 0x200 + 32 * 3\n" SAY("3") EOI "iretq\n");

TEST(each_interrupt_ends_one_hlt_and_comes_once)
{
    enum { ROUNDS = 1500 };
    struct vm v = OPEN(once);
    int status;
    pid_t busy = spawn();

    while (busy == 0)
        ;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(run_to_out(&v, 0x10), 1);
        if (i % 3 == 0)
            CHECK_OK(madvise(v.mem + STACK - 0x1000, 0x1000, MADV_DONTNEED));
        pulse(&v, 3);
        CHECK_EQ(run_to_out(&v, 0x10), 3);
    }
    CHECK_OK(kill(busy, SIGKILL));
    status = reap();
    CHECK(WIFSIGNALED(status));
    vm_close(&v);
}
