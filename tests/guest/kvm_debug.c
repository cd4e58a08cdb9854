/* KVM_SET_GUEST_DEBUG: a debugger stops the guest where it wants, and the guest does not notice. */
#include "tests/guest/kvm_lib.h"

enum { SINGLE = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
enum { DR6_NONE = 0xffff0ff0, DR6_STEP = DR6_NONE | 0x4000, DR7_NONE = 0x400 };

static void debug(struct vm *v, uint32_t control, uint64_t dr0, uint64_t dr7)
{
    struct kvm_guest_debug d = {.control = control};

    d.arch.debugreg[0] = dr0;
    d.arch.debugreg[7] = dr7;
    CHECK_OK(ioctl(v->vcpu, KVM_SET_GUEST_DEBUG, &d));
}

static void run_to_stop(struct vm *v, uint32_t exception, uint64_t pc)
{
    run_to(v, KVM_EXIT_DEBUG);
    CHECK_EQ(v->run->debug.arch.exception, exception);
    CHECK_EQ(v->run->debug.arch.pc, pc);
    CHECK_EQ(get_regs(v).rip, pc);
}

GUEST_CODE(steps, 64, "nop; cpuid; out %al, $0x10; pushfq; pop %rbx; sti; cli; hlt");

TEST(every_instruction_is_a_step_also_those_that_exit)
{
    static const int lengths[] = {1, 2, 2, 1, 1, 1, 1};
    struct vm v = vm_open(RAM);
    uint64_t pc = CODE;

    LOAD(&v, steps);
    start_64(&v);
    debug(&v, SINGLE, 0, DR7_NONE);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        pc += (uint64_t)lengths[i];
        if (i == 2) /* the monitor has to answer OUT first */
            run_to(&v, KVM_EXIT_IO);
        run_to_stop(&v, 1, pc);
        CHECK_EQ(v.run->debug.arch.dr6, DR6_STEP);
        CHECK_EQ(get_regs(&v).rflags & 0x100, 0);
    }
    CHECK_EQ(get_regs(&v).rbx & ~0x100ul, 2);
    vm_close(&v);
}

/* Behind it the handler of vector 0x30. */
GUEST_CODE(breaks, 64,
           "int3; int $0x30; mov $0x20000, %eax; mov %rax, %dr0; mov %dr0, %rbx; mov %dr7, %rcx\n"
           "incl 0x20000; nop; hlt\n"
           ".org breaks + 0x100\n"
           "incl 0x20008; iretq");

TEST(int3_stops_and_other_software_interrupts_are_the_guests)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, breaks);
    start_64(&v);
    set_gate64(&v, 0x30, CODE + 0x100);
    debug(&v, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP, 0, DR7_NONE);
    run_to_stop(&v, 3, CODE);
    start_at(&v, CODE + 1);
    run_to_halt(&v);
    CHECK_EQ(v.mem[0x20008], 1);
    vm_close(&v);
}

TEST(breakpoints_are_the_debuggers_and_debug_registers_the_guests)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, breaks);
    start_64(&v);
    start_at(&v, CODE + 3);
    debug(&v, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, 0x20000, DR7_NONE | 1 | 0xd0000);
    run_to_stop(&v, 1, CODE + 24); /* behind the INC */
    CHECK_EQ(v.run->debug.arch.dr6, DR6_NONE | 1);
    CHECK_EQ(get_regs(&v).rbx, 0x20000);
    CHECK_EQ(get_regs(&v).rcx, DR7_NONE);
    run_to_halt(&v);
    debug(&v, 0, 0, 0);
    start_at(&v, CODE + 17); /* INC again, without a debugger */
    run_to_halt(&v);
    CHECK_EQ(v.mem[0x20000], 2);
    vm_close(&v);
}

TEST(what_is_no_debuggers_wish_is_refused)
{
    struct kvm_guest_debug d = {.control = 0x40000000};
    struct vm v = vm_open(RAM);

    CHECK_ERR(ioctl(v.vcpu, KVM_SET_GUEST_DEBUG, &d), EINVAL);
    CHECK_EQ(ioctl(v.kvm, KVM_CHECK_EXTENSION, KVM_CAP_SET_GUEST_DEBUG), 1);
    vm_close(&v);
}
