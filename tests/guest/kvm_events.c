/* HLT, shutdown, interrupts from the monitor, and the guest's own exceptions. */
#include "tests/guest/kvm_lib.h"

enum { VECTOR = 0x40 };

GUEST_CODE(two_halts, 64, "hlt; inc %eax; hlt");

TEST(the_guest_goes_on_behind_hlt)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, two_halts);
    start_64(&v);
    run_to_halt(&v);
    CHECK_EQ(get_regs(&v).rip, CODE + 1);
    CHECK_EQ(v.run->if_flag, 0);
    run_to_halt(&v);
    CHECK_EQ(get_regs(&v).rax, 1);
    CHECK_EQ(get_regs(&v).rip, CODE + 4);
    vm_close(&v);
}

GUEST_CODE(real_triple, 16, "lidt %cs:0x8000 + 1f - real_triple; int3; hlt\n1: .word 0; .long 0");
GUEST_CODE(long_triple, 64, "lidt 1f(%rip); ud2; hlt\n1: .word 0; .quad 0");
GUEST_CODE(
    no_stack, 64,
    "xor %esp, %esp; mov $0x8000000000000000, %rsp; ud2; hlt"); /* the handler cannot be entered */

TEST(triple_faults_are_shutdowns)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, real_triple);
    start_real(&v);
    run_to(&v, KVM_EXIT_SHUTDOWN);
    vm_close(&v);
    v = vm_open(RAM);
    LOAD(&v, long_triple);
    start_64(&v);
    run_to(&v, KVM_EXIT_SHUTDOWN);
    vm_close(&v);
    v = vm_open(RAM);
    LOAD(&v, no_stack);
    start_64(&v);
    set_gate64(&v, 6, CODE);
    run_to(&v, KVM_EXIT_SHUTDOWN);
    vm_close(&v);
}

/* At 0x8000: work; at 0x8100: the handler of VECTOR. */
GUEST_CODE(irq_guest, 64,
           "sti; hlt\n" /* 1: halted with interrupts on */
           "mov $1, %al; out %al, $0x10\n"
           "cli; mov $2, %al; out %al, $0x10\n" /* 2: interrupts off */
           "mov $3, %al; out %al, $0x10\n"
           "sti; nop; nop\n" /* 3: on again */
           "mov $4, %al; out %al, $0x10; cli; hlt\n"
           ".org irq_guest + 0x100\n"
           "push %rax; mov $0xee, %al; out %al, $0x11; incl 0x20000; pop %rax; iretq");

static struct vm open_irq_guest(void)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, irq_guest);
    start_64(&v);
    set_gate64(&v, VECTOR, CODE + 0x100);
    return v;
}

static int interrupt(struct vm *v, unsigned vector)
{
    struct kvm_interrupt irq = {.irq = vector};

    return ioctl(v->vcpu, KVM_INTERRUPT, &irq);
}

TEST(an_interrupt_ends_hlt)
{
    struct vm v = open_irq_guest();

    run_to_halt(&v);
    CHECK_EQ(v.run->if_flag, 1);
    CHECK_EQ(v.run->ready_for_interrupt_injection, 1);
    CHECK_EQ(interrupt(&v, VECTOR), 0);
    CHECK_EQ(run_to_out(&v, 0x11), 0xee);
    CHECK_EQ(v.run->if_flag, 0); /* inside the handler */
    CHECK_EQ(v.run->ready_for_interrupt_injection, 0);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(*(uint32_t *)(v.mem + 0x20000), 1);
    vm_close(&v);
}

TEST(the_window_opens_only_when_the_guest_can_take_an_interrupt)
{
    struct vm v = open_irq_guest();

    run_to_halt(&v);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(run_to_out(&v, 0x10), 2); /* interrupts are off now */
    CHECK_EQ(v.run->if_flag, 0);
    v.run->request_interrupt_window = 1;
    CHECK_EQ(run_to_out(&v, 0x10), 3);
    run_to(&v, KVM_EXIT_IRQ_WINDOW_OPEN);
    CHECK_EQ(v.run->if_flag, 1);
    CHECK_EQ(v.run->ready_for_interrupt_injection, 1);
    v.run->request_interrupt_window = 0;
    CHECK_EQ(interrupt(&v, VECTOR), 0);
    CHECK_EQ(run_to_out(&v, 0x11), 0xee);
    CHECK_EQ(run_to_out(&v, 0x10), 4);
    run_to_halt(&v);
    CHECK_EQ(*(uint32_t *)(v.mem + 0x20000), 1);
    vm_close(&v);
}

TEST(bad_vectors_are_refused)
{
    struct vm v = open_irq_guest();

    run_to_halt(&v);
    CHECK_ERR(interrupt(&v, 256), EINVAL);
    CHECK_ERR(ioctl(v.vcpu, KVM_INTERRUPT, NULL), EFAULT);
    CHECK_EQ(interrupt(&v, VECTOR), 0);
    CHECK_EQ(run_to_out(&v, 0x11), 0xee);
    vm_close(&v);
}

GUEST_CODE(shadow, 64,
           "sti; cli; mov $1, %al; out %al, $0x10\n" /* no window between the two */
           "mov %ss, %ecx; sti; nop; mov $2, %al; out %al, $0x10; hlt");

TEST(sti_holds_interrupts_back_for_one_instruction)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, shadow);
    start_64(&v);
    v.run->request_interrupt_window = 1;
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    run_to(&v, KVM_EXIT_IRQ_WINDOW_OPEN);
    vm_close(&v);
}

/* The handler's stack is in a page that nobody has touched: delivery itself takes a nested fault.
 */
TEST(an_event_survives_a_fault_in_its_delivery)
{
    struct vm v = open_irq_guest();

    run_to_halt(&v);
    struct kvm_regs r = get_regs(&v);
    r.rsp = 0x181000;
    set_regs(&v, r);
    CHECK_EQ(interrupt(&v, VECTOR), 0);
    CHECK_EQ(run_to_out(&v, 0x11), 0xee);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(*(uint32_t *)(v.mem + 0x20000), 1);
    vm_close(&v);
}

GUEST_CODE(real_irq, 16,
           "sti; 1: hlt; jmp 1b\n"
           ".org real_irq + 0x100\n"
           "mov $0x55, %al; out %al, $0x11; iret");

TEST(real_mode_takes_interrupts_through_the_vector_table)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, real_irq);
    start_real(&v);
    *(uint16_t *)(v.mem + 4 * VECTOR) = CODE + 0x100;
    for (int i = 0; i < 3; i++) {
        run_to_halt(&v);
        CHECK_EQ(interrupt(&v, VECTOR), 0);
        CHECK_EQ(run_to_out(&v, 0x11), 0x55);
    }
    run_to_halt(&v);
    vm_close(&v);
}

GUEST_CODE(early_sti, 64, "sti; 1: inc %rax; jmp 1b");

TEST(a_window_interrupts_a_guest_that_makes_no_exits)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, early_sti);
    start_64(&v);
    for (int i = 0; i < 3; i++) {
        v.run->request_interrupt_window = 1;
        run_to(&v, KVM_EXIT_IRQ_WINDOW_OPEN);
    }
    vm_close(&v);
}

/* A guest that steps itself: CPUID, port I/O, MMIO and RDMSR are carried out by the hypervisor, and
 * each has its #DB behind it. The handler at 0x8100 stores the address and DR6. */
GUEST_CODE(stepping, 64,
           "mov $0x20000, %edi; pushf; orl $0x100, (%rsp); popf\n"
           "1: xor %eax, %eax; cpuid\n"
           "in $0x10, %al\n"
           "mov $0xc0000080, %ecx; rdmsr\n"
           "mov 0x10000000, %al\n"
           "pushf; andl $~0x100, (%rsp); popf\n"
           "hlt\n"
           ".org stepping + 0x100\n"
           "push %rax; mov 8(%rsp), %rax; stosl; mov %dr6, %rax; stosl\n"
           "xor %eax, %eax; mov %rax, %dr6; pop %rax; iretq");

TEST(a_stepping_guest_stops_behind_each_instruction)
{
    static const uint8_t lengths[] = {2, 2, 2, 5, 2, 7, 1, 7, 1};
    struct vm v = vm_open(RAM);
    uint32_t rip = 0x800e;

    LOAD(&v, stepping);
    start_64(&v);
    set_gate64(&v, 1, CODE + 0x100);
    run_to(&v, KVM_EXIT_IO);
    run_to(&v, KVM_EXIT_MMIO);
    run_to_halt(&v);
    uint32_t *stop = (uint32_t *)(v.mem + FREE);
    for (unsigned i = 0; i < sizeof(lengths); i++) {
        rip += lengths[i];
        CHECK_EQ(stop[2 * i], rip);
        CHECK_EQ(stop[2 * i + 1], 0xffff4ff0);
    }
    CHECK_EQ(stop[2 * sizeof(lengths)], 0);
    vm_close(&v);
}

/* #DB at 0x8100, #UD at 0x8180: each leaves the address and DR6. */
#define DEBUG_HANDLERS(name)                                                                       \
    ".org " #name " + 0x100\n"                                                                     \
    "push %rax; mov 8(%rsp), %rax; stosl; mov %dr6, %rax; stosl\n"                                 \
    "xor %eax, %eax; mov %rax, %dr6; pop %rax; iretq\n"                                            \
    ".org " #name " + 0x180\n mov $0x6, %eax; stosl; hlt\n"

static const uint32_t *debug_exceptions(struct vm *v, const uint8_t *code, const uint8_t *end)
{
    load(v, code, end);
    start_64(v);
    set_gate64(v, 1, CODE + 0x100);
    set_gate64(v, 6, CODE + 0x180);
    run_to_halt(v);
    return (const uint32_t *)(v->mem + FREE);
}

GUEST_CODE(int1, 64,
           "mov $0x20000, %edi; .byte 0xf1; .byte 0x2e, 0xf1; hlt\n" DEBUG_HANDLERS(int1));

TEST(int1_is_a_debug_exception_that_leaves_no_mark)
{
    struct vm v = vm_open(RAM);
    const uint32_t *stop = debug_exceptions(&v, int1, int1_end);

    if (stop[0] == 6) { /* QEMU's TCG before 8.0 does not know the instruction */
        vm_close(&v);
        return;
    }
    CHECK_EQ(stop[0], 0x8006);
    CHECK_EQ(stop[1], 0xffff0ff0);
    CHECK_EQ(stop[2], 0x8008);
    CHECK_EQ(stop[3], 0xffff0ff0);
    CHECK_EQ(stop[4], 0);
    vm_close(&v);
}

/* The #DB comes before the access, in the shadow of MOV SS and stepped too, and the guard is down
 * then. */
GUEST_CODE(
    guarded, 64,
    "xor %ecx, %ecx; mov $0x20000, %edi; mov $0x2400, %eax; mov %rax, %dr7; mov %ss, %edx\n"
    "pushf; orl $0x100, (%rsp); popf; mov %edx, %ss; mov %rcx, %dr6\n"
    "pushf; andl $~0x100, (%rsp); popf; mov %dr7, %rax; stosl; hlt\n" DEBUG_HANDLERS(guarded));

TEST(access_to_guarded_debug_registers_is_a_debug_exception)
{
    static const uint32_t steps[] = {0x801f, 0x8020, 0x8027, 0x8028};
    struct vm v = vm_open(RAM);
    const uint32_t *stop = debug_exceptions(&v, guarded, guarded_end);

    CHECK_EQ(stop[0], 0x801c);
    CHECK_EQ(stop[1] & 0x2000, 0x2000);
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        CHECK_EQ(stop[2 * i + 2], steps[i]);
        CHECK_EQ(stop[2 * i + 3], 0xffff4ff0);
    }
    CHECK_EQ(stop[10], 0x400);
    vm_close(&v);
}
