#pragma once
/* What a guest finds in CPUID and MSRs, by the VMM's choice and by the processor's rules. */
#include "tests/oracle/oracle.h"

/* CPUID of the leaf in EAX and the index in ECX, until the leaf -1 comes from port 0x10. */
GUEST_CODE(ask_cpuid, 64,
           "1: mov $0x20, %edx; in $0x10, %eax; cmp $-1, %eax; je 2f; mov %eax, %esi\n"
           "in $0x11, %eax; mov %eax, %ecx; mov %esi, %eax; cpuid\n"
           "out %eax, $0x20; mov %ebx, %eax; out %eax, $0x20; mov %ecx, %eax; out %eax, $0x20\n"
           "mov %edx, %eax; out %eax, $0x20; jmp 1b\n2: hlt");

static void answer(struct vm *v, uint32_t value)
{
    CHECK_EQ(v->run->exit_reason, KVM_EXIT_IO);
    memcpy((uint8_t *)v->run + v->run->io.data_offset, &value, sizeof(value));
}

static void say_cpuid(struct vm *v, uint32_t leaf, uint32_t index)
{
    uint32_t out[4];

    CHECK_OK(ioctl(v->vcpu, KVM_RUN, 0));
    answer(v, leaf);
    CHECK_OK(ioctl(v->vcpu, KVM_RUN, 0));
    answer(v, index);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(ioctl(v->vcpu, KVM_RUN, 0));
        memcpy(&out[i], (uint8_t *)v->run + v->run->io.data_offset, 4);
    }
    say("cpuid %x.%x: %x %x %x %x\n", leaf, index, out[0], out[1], out[2], out[3]);
}

#define GIVEN 12

static void give_leaves(struct vm *v, const char *vendor)
{
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 e[GIVEN];
    } c = {.head.nent = 7,
           .e = {{.function = 0, .eax = 2},
                 {.function = 1, .eax = 0x600, .ebx = 0x12345678, .ecx = 0x04200001, .edx = 0x201},
                 {.function = 2, .eax = 1, .ebx = 2, .ecx = 3, .edx = 4},
                 {.function = 0x40000000, .eax = 0x40000000, .ebx = 7},
                 {.function = 0x80000000, .eax = 0x80000001},
                 {.function = 0x80000001, .eax = 5, .ebx = 6, .ecx = 7, .edx = 0x20100800},
                 {.function = 4, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 9}}};

    memcpy(&c.e[0].ebx, vendor, 4);
    memcpy(&c.e[0].edx, vendor + 4, 4);
    memcpy(&c.e[0].ecx, vendor + 8, 4);
    SAY_CALL(ioctl(v->vcpu, KVM_SET_CPUID2, &c));
}

static void cpuid_of(const char *vendor)
{
    static const uint32_t leaf[] = {0,          1,          2,          3,          4,
                                    5,          0x7fffffff, 0x40000000, 0x40000001, 0x80000000,
                                    0x80000001, 0x80000002, 0xc0000000, 0x12345678};
    struct vm v = vm_open(RAM);

    give_leaves(&v, vendor);
    LOAD(&v, ask_cpuid);
    start_64(&v);
    for (unsigned i = 0; i < sizeof(leaf) / sizeof(leaf[0]); i++)
        say_cpuid(&v, leaf[i], 0);
    say_cpuid(&v, 4, 1);
    say_cpuid(&v, 1, 7);
    vm_close(&v);
}

TEST(cpuid_of_an_amd_processor)
{
    cpuid_of("AuthenticAMD");
}

TEST(cpuid_of_an_intel_processor)
{
    cpuid_of("GenuineIntel");
}

/* Bits that belong to the vCPU, whatever the table says. */
TEST(cpuid_follows_registers)
{
    struct vm v = vm_open_with(RAM, PIC_ONLY);
    struct kvm_sregs s;

    give_leaves(&v, "AuthenticAMD");
    LOAD(&v, ask_cpuid);
    start_64(&v);
    s = get_sregs(&v);
    s.cr4 |= 1 << 18; /* OSXSAVE */
    SAY_CALL(ioctl(v.vcpu, KVM_SET_SREGS, &s));
    say_cpuid(&v, 1, 0);
    s.apic_base &= ~0x800ull;
    SAY_CALL(ioctl(v.vcpu, KVM_SET_SREGS, &s));
    say_cpuid(&v, 1, 0);
    vm_close(&v);
}

static void say_msr(struct vm *v, uint32_t msr, uint64_t value)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry e;
    } m = {.head.nmsrs = 1, .e = {.index = msr, .data = value}};
    int set = ioctl(v->vcpu, KVM_SET_MSRS, &m);

    m.e.data = 0;
    int got = ioctl(v->vcpu, KVM_GET_MSRS, &m);
    say("msr %x set to %llx: %d, get: %d", msr, (unsigned long long)value, set, got);
    printf(" %llx\n", got == 1 && msr != 0x10 ? (unsigned long long)m.e.data : 0);
}

TEST(msrs_for_the_vmm)
{
    static const struct {
        uint32_t msr;
        uint64_t value;
    } access[] = {
        {0x10, 0},
        {0x17, 1},
        {0x1b, 0xfee00900},
        {0x1b, 0xfee00d00},
        {0x1b, 0xfee00500},
        {0x1b, 0xfee00200},
        {0x1b, 0xfee00900},
        {0x3b, 0x1234},
        {0x8b, 0x100000000},
        {0xce, 0xff00},
        {0x174, 0x10},
        {0x175, 1ull << 63},
        {0x176, 0x1000},
        {0x1a0, 0x40001},
        {0x277, 0x02},
        {0x277, 0x0606060606060606},
        {0x6e0, 5},
        {0x802, 0},
        {0x808, 0x20},
        {0xc0000080, 0x500},
        {0xc0000080, 0x1},
        {0xc0000080, 0x2},
        {0xc0000081, ~0ull},
        {0xc0000082, 1ull << 63},
        {0xc0000083, 0},
        {0xc0000084, ~0ull},
        {0xc0000100, 1ull << 47},
        {0xc0000102, ~0ull},
        {0x4b564d00, 0},
        {0xdead, 0},
    };
    struct vm v = vm_open_with(RAM, PIC_ONLY);

    set_supported_cpuid(&v);
    for (unsigned i = 0; i < sizeof(access) / sizeof(access[0]); i++)
        say_msr(&v, access[i].msr, access[i].value);
}

enum { LEAVES = 128 };

/* What is offered to a guest by policy, whatever the processor's model. */
static struct kvm_cpuid2 *new_cpuid(unsigned entries)
{
    struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + LEAVES * sizeof(c->entries[0]));

    CHECK(c);
    c->nent = entries;
    return c;
}

static const struct kvm_cpuid_entry2 *leaf_of(const struct kvm_cpuid2 *c, uint32_t function)
{
    static const struct kvm_cpuid_entry2 none;

    for (uint32_t i = 0; i < c->nent; i++)
        if (c->entries[i].function == function && c->entries[i].index == 0)
            return &c->entries[i];
    return &none;
}

#define SAY_BITS(function, reg, mask)                                                              \
    say("%#x %s: %#x of %#x\n", function, #reg, leaf_of(c, function)->reg &(mask), mask)

TEST(cpuid_bits_of_policy)
{
    int kvm = open("/dev/kvm", O_RDWR);
    struct kvm_cpuid2 *c = new_cpuid(LEAVES);

    SAY_CALL(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c));
    SAY_BITS(1, ecx, 0x000001a8); /* MONITOR, VMX, EIST, TM2 */
    SAY_BITS(1, ecx, 0x01208000); /* PDCM, x2APIC, TSC deadline */
    SAY_BITS(1, edx, 0xa0600200); /* APIC, DS, ACPI, TM, PBE */
    SAY_BITS(7, ebx, 0x02009000); /* resource control, processor trace */
    SAY_BITS(0x80000001, ecx, 0x1000);
    SAY_BITS(0x40000000, ebx, 0xffffffff);
    SAY_BITS(0x40000000, ecx, 0xffffffff);
    SAY_BITS(0x40000000, edx, 0xffffffff);
    SAY_BITS(0x40000001, eax, 0x0100000b); /* the clock, and no delay after I/O */
    c->nent = 1;
    SAY_CALL(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c));
    free(c);
    close(kvm);
}
