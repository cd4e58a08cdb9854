/* CPUID is what the monitor says it is. */
#include "tests/guest/kvm_lib.h"

enum { ENTRIES = 128 };

static struct kvm_cpuid2 *table(uint32_t entries)
{
    struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + ENTRIES * sizeof(c->entries[0]));

    CHECK(c);
    c->nent = entries;
    return c;
}

TEST(the_supported_table_wants_room)
{
    int kvm = open("/dev/kvm", O_RDWR);
    struct kvm_cpuid2 *c = table(ENTRIES);

    CHECK(kvm >= 0);
    CHECK_EQ(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c), 0);
    CHECK(c->nent > 4 && c->nent < ENTRIES);
    CHECK_EQ(c->entries[0].function, 0);
    CHECK(c->entries[0].eax >= 1);
    c->nent = 1;
    CHECK_ERR(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c), E2BIG);
    free(c);
    close(kvm);
}

/* A feature that CPUID has can be turned on. */
TEST(what_the_supported_table_has_a_guest_may_turn_on_in_cr4)
{
    static const struct {
        uint32_t function;
        bool ecx;
        unsigned bit, cr4;
    } features[] = {{1, true, 17, 17},  {1, true, 26, 18}, {7, false, 0, 16}, {7, false, 7, 20},
                    {7, false, 20, 21}, {7, true, 2, 11},  {7, true, 3, 22},  {7, true, 7, 23},
                    {7, true, 16, 12},  {7, true, 31, 24}};
    struct vm v = vm_open(RAM);
    struct kvm_cpuid2 *c = table(ENTRIES);

    CHECK_OK(ioctl(v.kvm, KVM_GET_SUPPORTED_CPUID, c));
    set_supported_cpuid(&v);
    for (unsigned i = 0; i < c->nent; i++)
        for (unsigned f = 0; f < sizeof(features) / sizeof(features[0]); f++) {
            const struct kvm_cpuid_entry2 *e = &c->entries[i];
            if (e->function != features[f].function || e->index ||
                !((features[f].ecx ? e->ecx : e->ebx) >> features[f].bit & 1))
                continue;
            struct kvm_sregs s = get_sregs(&v);
            s.cr4 |= 1ull << features[f].cr4;
            CHECK_OK(ioctl(v.vcpu, KVM_SET_SREGS, &s));
        }
    free(c);
    vm_close(&v);
}

GUEST_CODE(ask, 64,
           "mov $0x40000000, %eax; xor %ecx, %ecx; cpuid; mov %eax, 0x20000; mov %ebx, 0x20004; "
           "mov %ecx, 0x20008; mov %edx, 0x2000c\n"
           "mov $4, %eax; mov $1, %ecx; cpuid; mov %eax, 0x20010\n"
           "mov $4, %eax; mov $2, %ecx; cpuid; mov %eax, 0x20014\n"
           "mov $1, %rax; dec %rax; mov $-1, %rbx; cpuid; mov %rbx, 0x20018; hlt");

TEST(a_guest_sees_what_was_set)
{
    struct vm v = vm_open(RAM);
    struct kvm_cpuid2 *c = table(4);

    c->entries[0] = (struct kvm_cpuid_entry2){.function = 0, .eax = 4, .ebx = 0x75767778};
    c->entries[1] =
        (struct kvm_cpuid_entry2){.function = 0x40000000, .eax = 1, .ebx = 2, .ecx = 3, .edx = 4};
    c->entries[2] = (struct kvm_cpuid_entry2){
        .function = 4, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 0x41};
    c->entries[3] = (struct kvm_cpuid_entry2){
        .function = 4, .index = 2, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 0x42};
    CHECK_EQ(ioctl(v.vcpu, KVM_SET_CPUID2, c), 0);
    LOAD(&v, ask);
    start_64(&v);
    run_to_halt(&v);
    const uint32_t *seen = (const uint32_t *)(v.mem + 0x20000);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(seen[i], i + 1);
    CHECK_EQ(seen[4], 0x41);
    CHECK_EQ(seen[5], 0x42);
    CHECK_EQ(*(uint64_t *)(v.mem + 0x20018), 0x75767778); /* the upper half is cleared */
    free(c);
    vm_close(&v);
}

TEST(too_many_entries_are_refused)
{
    struct vm v = vm_open(RAM);
    struct kvm_cpuid2 *c = table(0x10000000);

    CHECK_ERR(ioctl(v.vcpu, KVM_SET_CPUID2, c), E2BIG);
    free(c);
    vm_close(&v);
}

GUEST_CODE(brand, 64, "mov $1, %eax; cpuid; hlt");

TEST(the_supported_table_suits_a_64_bit_guest)
{
    struct vm v = vm_open(RAM);

    set_supported_cpuid(&v);
    LOAD(&v, brand);
    start_64(&v);
    run_to_halt(&v);
    struct kvm_regs r = get_regs(&v);
    CHECK_EQ(r.rcx & 1 << 5, 0);
    CHECK_EQ(r.rdx & 0x2071, 0x2071); /* FPU, TSC, MSR, PAE, PGE */
    vm_close(&v);
}
