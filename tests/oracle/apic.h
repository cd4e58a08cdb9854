#pragma once
/* The local APIC and the I/O APIC: priorities, messages, triggers; NMIs; what holds events back. */
#include "tests/oracle/oracle.h"

#define EOI "0xfee000b0"
#define SPIV "0xfee000f0"
#define ICR "0xfee00300"
#define TPR "0xfee00080"
#define SELF_IPI(vector) "movl $0x40000 + " #vector ", " ICR "\n"
#define END "9: out %al, $0x14; jmp 9b"

/* Handlers of the vectors 0x20 to 0x5f put their vector out at port 0x11, then end the interrupt.
 */
GUEST_CODE(apic_handlers, 32,
           ".set vector, 0x20\n.rept 64\n.org apic_handlers + 16 * (vector - 0x20)\n"
           "push $vector; jmp 1f\n.set vector, vector + 1\n.endr\n"
           "1: xchg %eax, (%esp); out %al, $0x11; movl $0, " EOI "; pop %eax; iret");

static void set_gate32(struct vm *v, unsigned vector, uint32_t handler)
{
    uint64_t gate =
        (handler & 0xffff) | 8ull << 16 | 0x8eull << 40 | (uint64_t)(handler >> 16) << 48;

    memcpy(v->mem + IDT + 8 * vector, &gate, sizeof(gate));
}

static struct vm open_apic(const uint8_t *code, const uint8_t *end)
{
    struct vm v = vm_open_with(RAM, CHIPS);

    set_supported_cpuid(&v);
    load(&v, code, end);
    memcpy(v.mem + FREE, apic_handlers, (size_t)(apic_handlers_end - apic_handlers));
    start_32(&v);
    for (unsigned vector = 0x20; vector < 0x60; vector++)
        set_gate32(&v, vector, FREE + 16 * (vector - 0x20));
    return v;
}
#define OPEN_APIC(code) open_apic(code, code##_end)

#define PUT(address) "mov " address ", %eax; out %eax, $0x12\n"
#define IRR PUT("0xfee00210") PUT("0xfee00220")
#define ISR PUT("0xfee00110") PUT("0xfee00120")

GUEST_CODE(self_ipis, 32,
           "cli; movl $0x1ff, " SPIV "\n" SELF_IPI(0x31) SELF_IPI(0x51) SELF_IPI(0x25)
               SELF_IPI(0x51) IRR "sti; nop; nop; cli\n" IRR ISR PUT("0xfee000a0") END);

TEST(self_ipis_come_by_priority)
{
    struct vm v = OPEN_APIC(self_ipis);

    run_and_say(&v, 12);
    vm_close(&v);
}

GUEST_CODE(tpr, 32,
           "cli; movl $0x1ff, " SPIV "; movl $0x40, " TPR "\n" SELF_IPI(0x35) SELF_IPI(0x45)
               SELF_IPI(0x55) PUT("0xfee000a0") "sti; nop; nop; out %al, $0x13\n"
                                                "movl $0x30, " TPR "; nop; out %al, $0x13\n"
                                                "movl $0, " TPR "; nop; out %al, $0x13\n" END);

TEST(the_task_priority_holds_back_its_class)
{
    struct vm v = OPEN_APIC(tpr);

    run_and_say(&v, 9);
    vm_close(&v);
}

/* Illegal vectors, and what the ESR says of them. */
GUEST_CODE(illegal, 32,
           "cli; movl $0x1ff, " SPIV "\n" SELF_IPI(0x5) "movl $0, 0xfee00280\n" PUT(
               "0xfee00280") "movl $0, 0xfee00280\n" PUT("0xfee00280") END);

TEST(illegal_vectors_are_errors)
{
    struct vm v = OPEN_APIC(illegal);

    run_and_say(&v, 3);
    vm_close(&v);
}

static void signal_msi(struct vm *v, uint32_t address, uint32_t data)
{
    struct kvm_msi msi = {.address_lo = address, .data = data};

    SAY_CALL(ioctl(v->vm, KVM_SIGNAL_MSI, &msi));
}

GUEST_CODE(messages, 32,
           "cli; movl $0x1ff, " SPIV "; movl $0x02000000, 0xfee000d0; out %al, $0x10\n" IRR
           "sti; nop; nop\n" END);

TEST(messages_reach_whom_they_name)
{
    struct vm v = OPEN_APIC(messages);

    run_and_say(&v, 1);
    signal_msi(&v, 0xfee00000, 0x31); /* to APIC 0 */
    signal_msi(&v, 0xfee00000, 0x31); /* merges */
    signal_msi(&v, 0xfee02004, 0x41); /* logical, to its bit */
    signal_msi(&v, 0xfee04004, 0x42); /* to nobody's bit */
    signal_msi(&v, 0xfee01000, 0x43); /* to APIC 1 */
    signal_msi(&v, 0xfeeff000, 0x52); /* to all */
    run_and_say(&v, 7);
    vm_close(&v);
}

/* Pin 10: vector 0x33, level, to APIC 0. Pin 11: vector 0x34, edge. */
GUEST_CODE(pins, 32,
           "cli; movl $0x1ff, " SPIV "; mov $0xff, %al; out %al, $0x21; out %al, $0xa1\n"
           "mov $0xfec00000, %esi\n"
           "movl $0x25, (%esi); movl $0, 0x10(%esi); movl $0x24, (%esi); movl $0x8033, 0x10(%esi)\n"
           "movl $0x27, (%esi); movl $0, 0x10(%esi); movl $0x26, (%esi); movl $0x34, 0x10(%esi)\n"
           "out %al, $0x10; sti; nop; nop; 1: out %al, $0x12\n"
           "movl $0x24, (%esi); mov 0x10(%esi), %eax; out %eax, $0x13; jmp 1b");

static void set_line(struct vm *v, unsigned line, unsigned level)
{
    struct kvm_irq_level irq = {.irq = line, .level = level};

    SAY_CALL(ioctl(v->vm, KVM_IRQ_LINE, &irq));
}

TEST(pins_are_level_or_edge)
{
    struct vm v = OPEN_APIC(pins);

    run_and_say(&v, 1);
    set_line(&v, 10, 1);
    set_line(&v, 11, 1);
    set_line(&v, 11, 0);
    set_line(&v, 11, 1);
    run_and_say(&v, 4); /* the level comes again after each end of interrupt */
    set_line(&v, 10, 0);
    run_and_say(&v, 4);
    set_line(&v, 10, 1);
    run_and_say(&v, 2);
    set_line(&v, 10, 0);
    run_and_say(&v, 4);
    vm_close(&v);
}

static void say_lapic(struct vm *v, unsigned offset)
{
    struct kvm_lapic_state state;
    uint32_t value;

    CHECK_OK(ioctl(v->vcpu, KVM_GET_LAPIC, &state));
    memcpy(&value, state.regs + offset, sizeof(value));
    say("lapic %#x: %#x\n", offset, value);
}

TEST(the_apic_after_reset_and_use)
{
    static const uint16_t offsets[] = {0x20,  0x30,  0x80,  0xa0,  0xd0,  0xe0,  0xf0,
                                       0x110, 0x210, 0x220, 0x280, 0x300, 0x310, 0x320,
                                       0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0};
    struct vm v = OPEN_APIC(self_ipis);

    for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
        say_lapic(&v, offsets[i]);
    run_and_say(&v, 1);
    for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
        say_lapic(&v, offsets[i]);
    vm_close(&v);
}

/* STI has a shadow of one instruction, POPF has none. */
GUEST_CODE(shadows, 32,
           "cli; movl $0x1ff, " SPIV
           "\n" SELF_IPI(0x31) "sti; out %al, $0x12; out %al, $0x13\n"
                               "cli\n" SELF_IPI(
                                   0x31) "pushf; orl $0x200, (%esp); popf; out %al, $0x12\n" END);

TEST(shadows_hold_interrupts_back)
{
    struct vm v = OPEN_APIC(shadows);

    run_and_say(&v, 7);
    vm_close(&v);
}

static void say_events(struct vm *v)
{
    struct kvm_vcpu_events e = {0};

    SAY_CALL(ioctl(v->vcpu, KVM_GET_VCPU_EVENTS, &e));
    say("exception %u nr %u error %u %#x; interrupt %u nr %u soft %u shadow %u; "
        "nmi %u pending %u masked %u; sipi %#x\n",
        e.exception.injected, e.exception.injected ? e.exception.nr : 0, e.exception.has_error_code,
        e.exception.error_code, e.interrupt.injected, e.interrupt.injected ? e.interrupt.nr : 0,
        e.interrupt.soft, e.interrupt.shadow, e.nmi.injected, e.nmi.pending, e.nmi.masked,
        e.sipi_vector);
}

/* An NMI's handler stays a while in what holds the next one back. */
GUEST_CODE(nmi_handler, 32, "out %al, $0x16; nop; out %al, $0x17; iret");
GUEST_CODE(with_nmis, 32, "sti; out %al, $0x10; nop; out %al, $0x12; nop\n" END);

TEST(nmis_and_interrupts)
{
    struct vm v = vm_open_with(RAM, NO_CHIPS);

    set_supported_cpuid(&v);
    LOAD(&v, with_nmis);
    memcpy(v.mem + FREE, apic_handlers, (size_t)(apic_handlers_end - apic_handlers));
    memcpy(v.mem + FREE + 0x1000, nmi_handler, (size_t)(nmi_handler_end - nmi_handler));
    start_32(&v);
    set_gate32(&v, 2, FREE + 0x1000);
    set_gate32(&v, 0x21, FREE + 16);
    run_and_say(&v, 1);
    say_events(&v);
    SAY_CALL(ioctl(v.vcpu, KVM_NMI));
    SAY_CALL(ioctl(v.vcpu, KVM_NMI));
    SAY_CALL(ioctl(v.vcpu, KVM_NMI)); /* two at most */
    say_events(&v);
    run_and_say(&v, 1);
    say_events(&v);
    run_and_say(&v, 5);
    struct kvm_interrupt irq = {.irq = 0x21};
    SAY_CALL(ioctl(v.vcpu, KVM_INTERRUPT, &irq));
    SAY_CALL(ioctl(v.vcpu, KVM_NMI));
    say_events(&v);
    run_and_say(&v, 5);
    say_events(&v);
    vm_close(&v);
}
