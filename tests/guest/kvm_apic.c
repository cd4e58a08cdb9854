/* The local APIC and the I/O APIC in the kernel, MSIs and the routing of interrupts. */
#include "tests/guest/kvm_lib.h"

enum { APIC = 0x30000 /* a table for the APICs' pages */, VECTORS = 4 };

/* %rbp: the local APIC; %rdi: the I/O APIC. On, no 8259, spurious vector 0xff. */
#define APIC_START                                                                                 \
    "mov $0xfee00000, %ebp; mov $0xfec00000, %edi\n"                                               \
    "movl $0x1ff, 0xf0(%rbp); movl $0x10000, 0x350(%rbp)\n"
#define SAY(text) "mov $" text ", %al; out %al, $0x10\n"
#define READ(register) "mov " register "(%rbp), %eax; out %eax, $0x11\n"
#define EOI "movl $0, 0xb0(%rbp)\n"
#define SELF(vector) "movl $0x40000 | " vector ", 0x300(%rbp)\n"
#define REDIRECT(pin, low) /* to APIC 0 */                                                         \
    "movl $0x11 + 2 * " pin ", (%rdi); movl $0, 0x10(%rdi)\n"                                      \
    "movl $0x10 + 2 * " pin ", (%rdi); movl $" low ", 0x10(%rdi)\n"
#define READ_REDIRECT(pin)                                                                         \
    "movl $0x10 + 2 * " pin ", (%rdi); mov 0x10(%rdi), %eax; out %eax, $0x11\n"
/* Handlers of 0x40, 0x51, 0x52, 0x60 behind the code; each says its vector, and what EOI does. */
#define HANDLER(name, n, vector)                                                                   \
    ".org " #name " + 0x400 + 64 * " #n "\n push %rax\n" SAY(#vector) EOI "pop %rax; iretq\n"
#define HANDLERS(name)                                                                             \
    HANDLER(name, 0, 0x40) HANDLER(name, 1, 0x51) HANDLER(name, 2, 0x52) HANDLER(name, 3, 0x60)
static const unsigned handled[VECTORS] = {0x40, 0x51, 0x52, 0x60};

static struct vm open_guest(const uint8_t *code, const uint8_t *end)
{
    struct vm v = vm_open_with(RAM, CHIPS);
    uint64_t *pdpt = (uint64_t *)(v.mem + TABLES + 0x1000), *directory = (uint64_t *)(v.mem + APIC);

    load(&v, code, end);
    start_64(&v);
    pdpt[3] = APIC + 3;
    for (uint64_t i = 0; i < 512; i++)
        directory[i] = (3ull << 30 | i << 21) + 0x83;
    for (unsigned i = 0; i < VECTORS; i++)
        set_gate64(&v, handled[i], CODE + 0x400 + 64 * i);
    set_gate64(&v, 2, CODE + 0x500);
    set_gate64(&v, 13, CODE + 0x540);
    return v;
}
#define OPEN(name) open_guest(name, name##_end)

static int line(struct vm *v, unsigned irq, unsigned level)
{
    struct kvm_irq_level l = {.irq = irq, .level = level};

    CHECK_OK(ioctl(v->vm, KVM_IRQ_LINE_STATUS, &l));
    return (int)l.status;
}

static int msi(struct vm *v, uint32_t address, uint32_t data)
{
    struct kvm_msi m = {.address_lo = address, .data = data};

    return ioctl(v->vm, KVM_SIGNAL_MSI, &m);
}

GUEST_CODE(reset_state, 64,
           "mov $0xfee00000, %ebp\n" READ("0x20") READ("0x30") READ("0xf0") READ("0x350")
               READ("0x320") READ("0xe0") "mov 0x31(%rbp), %al; out %al, $0x11\n" READ("0x400"));

TEST(a_local_apic_starts_as_the_manual_says)
{
    struct vm v = OPEN(reset_state);
    static const uint32_t expected[] = {0, 0x50014, 0xff, 0x700, 0x10000, 0xffffffff, 0, 0};

    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(run_to_out(&v, 0x11), expected[i]);
    struct kvm_sregs s = get_sregs(&v);
    CHECK_EQ(s.apic_base, 0xfee00900);
    vm_close(&v);
}

/* However many come while an NMI is served, one follows it. */
GUEST_CODE(many_nmis, 64,
           APIC_START "movl $0x400, 0x300(%rbp); nop; nop; nop; mov %ebx, %eax; out %eax, $0x11\n"
                      ".org many_nmis + 0x500\n inc %ebx; cmp $1, %ebx; jne 2f; mov $10, %ecx\n"
                      "1: movl $0x400, 0x300(%rbp); loop 1b\n 2: iretq");

TEST(nmis_that_come_while_one_is_served_are_one)
{
    struct vm v = OPEN(many_nmis);

    CHECK_EQ(run_to_out(&v, 0x11), 2);
    vm_close(&v);
}

/* After an NMI an interrupt waits for the end of STI's shadow, in which the guest is stepped where
 * the CPU does not keep it: the guest sees nothing of that. Each page is touched for the first
 * time, which is an exit in the shadow. */
GUEST_CODE(shadows, 64,
           APIC_START
           "mov $0x10000000, %esi\n"
           "1: movl $0x400, 0x300(%rbp); nop\n" SELF(
               "0x40") "sti; testb $0, (%rsi)\n"
                       "nop; nop; cli; add $0x1000, %esi; cmp $0x10004000, %esi; jne 1b\n" SAY("1")
                           HANDLERS(shadows) ".org shadows + 0x500\n iretq\n"
                                             ".org shadows + 0x580\n" SAY("0xdb"));

TEST(a_shadow_that_is_stepped_over_leaves_no_trace)
{
    enum { PAGES = 4, SIZE = PAGES * 4096 };
    struct vm v = OPEN(shadows);

    CHECK_OK(set_slot(v.vm, 1, 0x10000000, SIZE, anonymous(SIZE), 0));
    set_gate64(&v, 1, CODE + 0x580);
    for (unsigned i = 0; i < PAGES; i++)
        CHECK_EQ(run_to_out(&v, 0x10), 0x40);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    vm_close(&v);
}

/* The task priority holds back a class and those below; what is in service its own. */
GUEST_CODE(priorities, 64,
           APIC_START "mov $5, %eax; mov %rax, %cr8\n" READ("0x80") SELF("0x51") SELF("0x40")
               SELF("0x60") "sti; nop\n" SAY("1") READ("0x220") /* IRR, vectors 0x40 to 0x5f */
           "movl $0x40, 0x80(%rbp); mov %cr8, %rax; out %eax, $0x11\n" SAY(
               "2") "xor %eax, %eax; mov %rax, %cr8; nop\n" SAY("3") ".org priorities + "
                                                                     "0x400\n" SAY("0x40") EOI
           "iretq\n"
           ".org priorities + 0x440\n" SAY("0x51") READ("0xa0")
               SELF("0x52") "sti; nop; cli\n" SAY("4") EOI
           "iretq\n"
           ".org priorities + 0x480\n" SAY("0x52") EOI "iretq\n"
                                                       ".org priorities + 0x4c0\n" SAY("0x60") EOI
           "iretq\n");

TEST(priorities_order_interrupts)
{
    struct vm v = OPEN(priorities);

    CHECK_EQ(run_to_out(&v, 0x11), 0x50);
    CHECK_EQ(run_to_out(&v, 0x10), 0x60);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(run_to_out(&v, 0x11), 1 | 1 << 17);
    CHECK_EQ(run_to_out(&v, 0x10), 0x51); /* by the write of the TPR */
    CHECK_EQ(run_to_out(&v, 0x11), 0x50); /* PPR: of what is in service */
    CHECK_EQ(run_to_out(&v, 0x10), 4);    /* 0x52 is of the same class */
    CHECK_EQ(run_to_out(&v, 0x10), 0x52);
    CHECK_EQ(run_to_out(&v, 0x11), 4);
    CHECK_EQ(run_to_out(&v, 0x10), 2);
    CHECK_EQ(run_to_out(&v, 0x10), 0x40); /* by the write of CR8 */
    CHECK_EQ(run_to_out(&v, 0x10), 3);
    vm_close(&v);
}

GUEST_CODE(one_shot, 64,
           APIC_START "movl $0x40, 0x320(%rbp); movl $0xb, 0x3e0(%rbp)\n"
                      "movl $3000000, 0x380(%rbp); mov 0x390(%rbp), %ebx; sti; hlt\n" SAY(
                          "1") "cli\n" READ("0x390") HANDLERS(one_shot));

TEST(the_timer_fires_once)
{
    struct vm v = OPEN(one_shot);

    CHECK_EQ(run_to_out(&v, 0x10), 0x40);
    uint64_t left = get_regs(&v).rbx;
    CHECK(left <= 3000000);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(run_to_out(&v, 0x11), 0);
    vm_close(&v);
}

GUEST_CODE(periodic, 64,
           APIC_START "xor %ebx, %ebx; movl $0x20040, 0x320(%rbp); movl $0, 0x3e0(%rbp)\n"
                      "movl $500000, 0x380(%rbp); 1: sti; hlt; cli; cmp $5, %ebx; jb 1b\n"
                      "movl $0, 0x380(%rbp)\n" SAY("1") ".org periodic + 0x400\n"
                                                        "inc %ebx\n" EOI "iretq\n");

TEST(the_timer_fires_again_and_again)
{
    struct vm v = OPEN(periodic);

    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK(get_regs(&v).rbx >= 5);
    vm_close(&v);
}

GUEST_CODE(deadline, 64,
           APIC_START "movl $0x40040, 0x320(%rbp); movl $100, 0x380(%rbp)\n" READ(
               "0x380") "rdtsc; add $1000, %edx; mov %eax, %ebx; mov $0x6e0, %ecx; wrmsr\n"
                        "rdmsr; sub %ebx, %eax; out %eax, $0x11\n"
                        "rdtsc; add $1000000, %eax; adc $0, %edx; wrmsr\n"
                        "sti; hlt; cli\n" SAY(
                            "1") "rdmsr; or %edx, %eax; out %eax, $0x11\n" HANDLERS(deadline));

TEST(the_timer_fires_at_a_tsc_value)
{
    struct vm v = OPEN(deadline);

    CHECK(ioctl(v.kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0);
    CHECK_EQ(run_to_out(&v, 0x11), 0); /* the count does nothing in this mode */
    CHECK_EQ(run_to_out(&v, 0x11), 0);
    CHECK_EQ(run_to_out(&v, 0x10), 0x40);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(run_to_out(&v, 0x11), 0);
    vm_close(&v);
}

GUEST_CODE(
    x2apic, 64,
    APIC_START
    "mov $0x1b, %ecx; rdmsr; or $0x400, %eax; wrmsr\n"
    "mov 0x20(%rbp), %eax; out %eax, $0x11\n" /* the page is gone */
    "mov $0x80d, %ecx; rdmsr; out %eax, $0x11; mov $0x802, %ecx; rdmsr; out %eax, $0x11\n"
    "sti; mov $0x83f, %ecx; mov $0x60, %eax; xor %edx, %edx; wrmsr; nop\n"
    "mov $0x830, %ecx; mov $0x51, %eax; xor %edx, %edx; wrmsr; nop\n" SAY(
        "1") "mov $0x831, %ecx; rdmsr; nop\n"                     /* no second half of the ICR */
             "mov $0x80b, %ecx; mov $1, %eax; wrmsr\n"            /* EOI takes zero only */
             "mov $0x1b, %ecx; rdmsr; and $~0x400, %eax; wrmsr\n" /* back to xAPIC: not at once */
    SAY("2") ".org x2apic + 0x440\n" SAY(
        "0x51") "push %rcx; mov $0x80b, %ecx; xor %eax, %eax;"
                "xor %edx, %edx; wrmsr; pop %rcx; iretq\n"
                ".org x2apic + 0x4c0\n" SAY(
                    "0x60") "push %rcx; mov $0x80b, %ecx; xor %eax, %eax;"
                            "xor %edx, %edx; wrmsr; pop %rcx; iretq\n"
                            ".org x2apic + 0x540\n" SAY(
                                "0x13") "add $8, %rsp; addq $2, (%rsp); iretq\n");

TEST(x2apic_registers_are_msrs)
{
    struct vm v = OPEN(x2apic);

    set_supported_cpuid(&v);
    CHECK_EQ(run_to_out(&v, 0x11), 0xffffffff);
    CHECK_EQ(run_to_out(&v, 0x11), 1);
    CHECK_EQ(run_to_out(&v, 0x11), 0);
    CHECK_EQ(run_to_out(&v, 0x10), 0x60);
    CHECK_EQ(run_to_out(&v, 0x10), 0x51);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(run_to_out(&v, 0x10), 0x13);
    CHECK_EQ(run_to_out(&v, 0x10), 2);
    vm_close(&v);
}

GUEST_CODE(levels, 64,
           APIC_START
           "movl $1, (%rdi); mov 0x10(%rdi), %eax; out %eax, $0x11\n" REDIRECT("20", "0x18051")
               SAY("1") REDIRECT("20", "0x8051") "sti; 1: hlt; jmp 1b\n"
                                                 ".org levels + 0x440\n" SAY("0x51")
                                                     READ_REDIRECT("20") EOI SAY("2")
                                                         READ_REDIRECT("20") "iretq\n");

TEST(a_level_line_of_the_io_apic_interrupts_until_it_is_low)
{
    struct vm v = OPEN(levels);

    CHECK_EQ(run_to_out(&v, 0x11), 0x170011);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(line(&v, 20, 1), -1); /* masked, and kept */
    CHECK_EQ(run_to_out(&v, 0x10), 0x51);
    CHECK_EQ(line(&v, 20, 1), -1); /* the first is in service */
    CHECK_EQ(run_to_out(&v, 0x11), 0xc051);
    CHECK_EQ(run_to_out(&v, 0x10), 2);
    CHECK_EQ(run_to_out(&v, 0x11), 0xc051); /* EOI found it high */
    CHECK_EQ(run_to_out(&v, 0x10), 0x51);
    CHECK_EQ(run_to_out(&v, 0x11), 0xc051);
    line(&v, 20, 0);
    CHECK_EQ(run_to_out(&v, 0x10), 2);
    CHECK_EQ(run_to_out(&v, 0x11), 0x8051);
    vm_close(&v);
}

GUEST_CODE(edges, 64,
           APIC_START REDIRECT("20", "0x10060") SAY("1")
               REDIRECT("20", "0x60") "sti; nop; cli\n" SAY("2") "sti; nop; nop; cli\n" SAY(
                   "3") "sti; 1: hlt; jmp 1b\n" HANDLERS(edges));

TEST(an_edge_at_a_masked_pin_is_lost)
{
    struct vm v = OPEN(edges);

    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(line(&v, 20, 1), -1);
    CHECK_EQ(run_to_out(&v, 0x10), 2);
    CHECK_EQ(line(&v, 20, 1), 0); /* no edge */
    line(&v, 20, 0);
    CHECK_EQ(line(&v, 20, 1), 1);
    CHECK_EQ(run_to_out(&v, 0x10), 0x60);
    CHECK_EQ(run_to_out(&v, 0x10), 3);
    vm_close(&v);
}

GUEST_CODE(halts, 64,
           APIC_START SAY("1") "1: sti; hlt; jmp 1b\n" HANDLERS(halts) ".org halts + 0x500\n" SAY(
               "2") "iretq\n");

TEST(messages_interrupt)
{
    struct vm v = OPEN(halts);

    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(msi(&v, 0xfee00000, 0x51), 1);
    CHECK_EQ(msi(&v, 0xfee00000, 0x4060), 1);
    CHECK_EQ(msi(&v, 0xfee05000, 0x52), 0); /* there is no APIC 5 */
    CHECK_EQ(run_to_out(&v, 0x10), 0x60);
    CHECK_EQ(run_to_out(&v, 0x10), 0x51);
    CHECK_EQ(msi(&v, 0xfee00000, 0x400), 1); /* an NMI */
    CHECK_EQ(run_to_out(&v, 0x10), 2);
    struct kvm_msi bad = {.flags = 8};
    CHECK_ERR(ioctl(v.vm, KVM_SIGNAL_MSI, &bad), EINVAL);
    vm_close(&v);
}

static int route(struct vm *v, unsigned count, const struct kvm_irq_routing_entry *entries)
{
    struct kvm_irq_routing *r = calloc(1, sizeof(*r) + count * sizeof(*entries));

    CHECK(r);
    r->nr = count;
    memcpy(r->entries, entries, count * sizeof(*entries));
    int result = ioctl(v->vm, KVM_SET_GSI_ROUTING, r);
    free(r);
    return result;
}

TEST(routes_lead_lines_to_messages)
{
    struct vm v = OPEN(halts);
    struct kvm_irq_routing_entry e[] = {
        {.gsi = 30, .type = KVM_IRQ_ROUTING_MSI, .u.msi = {.address_lo = 0xfee00000, .data = 0x52}},
        {.gsi = 5, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {KVM_IRQCHIP_PIC_MASTER, 5}},
        {.gsi = 5, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {KVM_IRQCHIP_IOAPIC, 5}},
    };

    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_OK(route(&v, 3, e));
    CHECK_EQ(line(&v, 30, 1), 1);
    CHECK_EQ(run_to_out(&v, 0x10), 0x52);
    CHECK_EQ(line(&v, 4, 1), -1);
    CHECK_OK(route(&v, 0, e));
    CHECK_EQ(line(&v, 30, 1), -1);
    e[1].u.irqchip.pin = 8;
    CHECK_ERR(route(&v, 3, e), EINVAL);
    e[1] = e[2];
    CHECK_ERR(route(&v, 3, e), EINVAL);
    e[1].gsi = 1u << 20;
    CHECK_ERR(route(&v, 2, e), EINVAL);
    e[0].type = 77;
    CHECK_ERR(route(&v, 1, e), EINVAL);
    vm_close(&v);
}

/* The 8259 pair reaches the processor through LINT0 only. */
GUEST_CODE(
    lint0, 64,
    "mov $0x11, %al; out %al, $0x20; mov $0x40, %al; out %al, $0x21; mov $4, %al; out %al, $0x21\n"
    "mov $1, %al; out %al, $0x21; xor %eax, %eax; out %al, $0x21\n" APIC_START
        SAY("1") "sti; nop; nop; nop\n" SAY("2") "movl $0x700, 0x350(%rbp); nop\n" SAY(
            "3") ".org lint0 + 0x400\n" SAY("0x40") "iretq\n");

TEST(the_8259_pair_comes_through_lint0)
{
    struct vm v = OPEN(lint0);

    CHECK_EQ(run_to_out(&v, 0x10), 1);
    line(&v, 0, 1);
    CHECK_EQ(run_to_out(&v, 0x10), 2);
    CHECK_EQ(run_to_out(&v, 0x10), 0x40);
    CHECK_EQ(run_to_out(&v, 0x10), 3);
    vm_close(&v);
}

/* An interrupt that waits in the saved registers comes in the VM that gets them. */
TEST(the_chips_state_can_be_read_and_written)
{
    struct vm v = OPEN(halts), w = OPEN(halts);
    struct kvm_lapic_state lapic;
    struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC}, copy;
    struct kvm_pit_state2 pit;

    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_EQ(run_to_out(&w, 0x10), 1);
    CHECK_EQ(msi(&v, 0xfee00000, 0x51), 1);
    CHECK_OK(ioctl(v.vcpu, KVM_GET_LAPIC, &lapic));
    uint32_t irr;
    memcpy(&irr, lapic.regs + 0x220, sizeof irr);
    CHECK_EQ(irr, 1 << 17);
    CHECK_OK(ioctl(w.vcpu, KVM_SET_LAPIC, &lapic));
    CHECK_EQ(run_to_out(&w, 0x10), 0x51);
    CHECK_OK(ioctl(v.vm, KVM_GET_IRQCHIP, &chip));
    CHECK_EQ(chip.chip.ioapic.redirtbl[3].bits, 0x10000);
    chip.chip.ioapic.redirtbl[3].bits = 0x60;
    chip.chip.ioapic.irr = 1 << 3;
    CHECK_OK(ioctl(w.vm, KVM_SET_IRQCHIP, &chip));
    CHECK_EQ(run_to_out(&w, 0x10), 0x60);
    memset(&copy, 0, sizeof copy);
    copy.chip_id = KVM_IRQCHIP_PIC_MASTER;
    CHECK_OK(ioctl(v.vm, KVM_GET_IRQCHIP, &copy));
    CHECK_EQ(copy.chip.pic.elcr_mask, 0xf8);
    copy.chip_id = 9;
    CHECK_ERR(ioctl(v.vm, KVM_GET_IRQCHIP, &copy), EINVAL);
    CHECK_OK(ioctl(v.vm, KVM_GET_PIT2, &pit));
    memset(&pit, 0xff, sizeof pit);
    CHECK_OK(ioctl(w.vm, KVM_SET_PIT2, &pit));
    vm_close(&w);
    vm_close(&v);
}
