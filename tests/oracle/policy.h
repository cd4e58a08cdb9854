#pragma once
/* What KVM offers of CPUID and MSRs by policy, whatever the processor's model. */
#include "tests/oracle/oracle.h"

enum { LEAVES = 128 };

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

GUEST_CODE(ask, 64, "mov %ebx, %eax; mov %esi, %ecx; cpuid; hlt");

static void say_answer(struct vm *v, uint32_t function, uint32_t index)
{
    start_64(v);
    struct kvm_regs r = get_regs(v);
    r.rbx = function;
    r.rsi = index;
    set_regs(v, r);
    run_to_halt(v);
    r = get_regs(v);
    say("%#x.%u: %llx %llx %llx %llx\n", function, index, r.rax, r.rbx, r.rcx, r.rdx);
}

/* Leaves that were not given: an AMD processor has zeros there. */
TEST(cpuid_of_the_guest)
{
    struct vm v = vm_open(RAM);
    struct kvm_cpuid2 *c = new_cpuid(4);
    static const uint32_t asked[] = {0, 1, 2, 3, 0x40000000, 0x80000000, 0x80000001, 0xc0000000};

    c->entries[0] = (struct kvm_cpuid_entry2){
        .eax = 7, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65};
    c->entries[1] = (struct kvm_cpuid_entry2){.function = 1, .eax = 0x600, .ecx = 1, .edx = 0x271};
    c->entries[2] = (struct kvm_cpuid_entry2){
        .function = 4, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 0x77};
    c->entries[3] = (struct kvm_cpuid_entry2){.function = 0x80000000, .eax = 0x80000000};
    SAY_CALL(ioctl(v.vcpu, KVM_SET_CPUID2, c));
    LOAD(&v, ask);
    for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
        say_answer(&v, asked[i], 0);
    say_answer(&v, 4, 1);
    say_answer(&v, 4, 2);
    struct kvm_sregs s = get_sregs(&v);
    s.apic_base &= ~0x800ull; /* CPUID's APIC bit follows it */
    SAY_CALL(ioctl(v.vcpu, KVM_SET_SREGS, &s));
    say_answer(&v, 1, 0);
    c->nent = 0;
    SAY_CALL(ioctl(v.vcpu, KVM_SET_CPUID2, c)); /* too late */
    free(c);
    vm_close(&v);
}

struct one_msr {
    struct kvm_msrs head;
    struct kvm_msr_entry entry;
};

/* Not the TSC, whose value is time's. */
TEST(msr_policy)
{
    static const uint32_t msrs[] = {0x1b,       0x174,      0x175,      0x176,      0x277,
                                    0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
                                    0xc0000100, 0xc0000101, 0xc0000102, 0x4b564d00, 0x4b564d01,
                                    0xdead,     0xc0001234};
    static const uint64_t values[] = {0, 0x10, 0x7ffffffff000, 0x8000000000000000, 0x9999};
    struct vm v = vm_open(RAM);
    struct one_msr m;

    set_supported_cpuid(&v);
    for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        for (unsigned j = 0; j <= sizeof(values) / sizeof(values[0]); j++) {
            m = (struct one_msr){.head.nmsrs = 1, .entry.index = msrs[i]};
            int got = ioctl(v.vcpu, KVM_GET_MSRS, &m);
            say("msr %#x is %d %llx;", msrs[i], got, (unsigned long long)m.entry.data);
            if (j < sizeof(values) / sizeof(values[0])) {
                m.entry.data = values[j];
                printf(" set %#llx: %d", (unsigned long long)values[j],
                       ioctl(v.vcpu, KVM_SET_MSRS, &m));
            }
            printf("\n");
        }
    }
    vm_close(&v);
}
