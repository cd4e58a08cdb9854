/* The state that snapshots carry: what was set is what the guest sees, and what the guest set is
 * what is read. */
#include "tests/guest/kvm_lib.h"

#include <time.h>

enum { XSAVE_FCW = 0, XSAVE_MXCSR = 24, XSAVE_XMM0 = 160, XSAVE_BV = 512, XSAVE_YMM0 = 576 };

static struct vm open_64(const uint8_t *code, const uint8_t *end)
{
    struct vm v = vm_open(RAM);

    set_supported_cpuid(&v);
    load(&v, code, end);
    start_64(&v);
    return v;
}
#define OPEN_64(name) open_64(name, name##_end)

static bool has(const struct vm *v, int capability)
{
    return ioctl(v->vm, KVM_CHECK_EXTENSION, capability) > 0;
}

GUEST_CODE(vectors, 64, "movq %xmm0, 0x20000; movq %rbx, %xmm0; fldpi; ldmxcsr 0x20010; hlt");

TEST(xsave_is_the_guests_vector_state)
{
    static struct kvm_xsave x;
    uint8_t *bytes = (uint8_t *)x.region;
    struct vm v = OPEN_64(vectors);
    uint64_t in = 0x1122334455667788, out = 0x99aabbccddeeff00, bv;
    uint32_t mxcsr = 0x1fa0;

    if (!has(&v, KVM_CAP_XSAVE)) {
        vm_close(&v);
        return;
    }
    CHECK_OK(ioctl(v.vcpu, KVM_GET_XSAVE, &x));
    memcpy(&bytes[XSAVE_XMM0], &in, 8);
    memcpy(&bv, &bytes[XSAVE_BV], 8);
    bv |= 3;
    memcpy(&bytes[XSAVE_BV], &bv, 8);
    memcpy(&bytes[XSAVE_FCW], &(uint16_t){0x37f}, 2);
    memcpy(&bytes[XSAVE_MXCSR], &(uint32_t){0x1f80}, 4);
    CHECK_OK(ioctl(v.vcpu, KVM_SET_XSAVE, &x));
    memcpy(v.mem + 0x20010, &mxcsr, 4);
    set_regs(&v, (struct kvm_regs){.rip = CODE, .rsp = STACK, .rflags = 2, .rbx = out});
    run_to_halt(&v);
    CHECK(!memcmp(v.mem + 0x20000, &in, 8));

    memset(&x, 0, sizeof(x));
    CHECK_OK(ioctl(v.vcpu, KVM_GET_XSAVE, &x));
    CHECK(!memcmp(&bytes[XSAVE_XMM0], &out, 8));
    CHECK(!memcmp(&bytes[XSAVE_MXCSR], &mxcsr, 4));
    struct kvm_fpu fpu;
    CHECK_OK(ioctl(v.vcpu, KVM_GET_FPU, &fpu));
    CHECK(!memcmp(fpu.fpr[0], &bytes[32], 10));
    CHECK_EQ(fpu.fpr[0][9], 0x40); /* pi's exponent */
    vm_close(&v);
}

TEST(xsave_refuses_what_the_processor_would)
{
    static struct kvm_xsave x, good;
    uint8_t *bytes = (uint8_t *)x.region;
    struct vm v = vm_open(RAM);

    set_supported_cpuid(&v);
    if (has(&v, KVM_CAP_XSAVE)) {
        CHECK_OK(ioctl(v.vcpu, KVM_GET_XSAVE, &good));
        x = good;
        bytes[XSAVE_BV + 7] = 0x40; /* a component that nobody has */
        CHECK_ERR(ioctl(v.vcpu, KVM_SET_XSAVE, &x), EINVAL);
        x = good;
        bytes[XSAVE_MXCSR + 3] = 0x80;
        CHECK_ERR(ioctl(v.vcpu, KVM_SET_XSAVE, &x), EINVAL);
        x = good;
        bytes[XSAVE_BV + 8 + 7] = 0x80; /* the compacted format */
        CHECK_ERR(ioctl(v.vcpu, KVM_SET_XSAVE, &x), EINVAL);
        CHECK_ERR(ioctl(v.vcpu, KVM_SET_XSAVE, NULL), EFAULT);
        CHECK_OK(ioctl(v.vcpu, KVM_GET_XSAVE, &x));
        CHECK(!memcmp(&x, &good, sizeof(x)));
    }
    vm_close(&v);
}

/* Puts out XCR0, sets it to rbx. */
GUEST_CODE(xcr0, 64,
           "mov %cr4, %rax; or $0x40000, %rax; mov %rax, %cr4; xor %ecx, %ecx; xgetbv\n"
           "out %eax, $0x10; mov %ebx, %eax; xor %edx, %edx; xsetbv; hlt");

TEST(xcrs_are_the_guests_xcr0)
{
    struct vm v = OPEN_64(xcr0);
    struct kvm_xcrs x = {.nr_xcrs = 1, .xcrs[0].value = 3};

    if (has(&v, KVM_CAP_XCRS)) {
        CHECK_OK(ioctl(v.vcpu, KVM_SET_XCRS, &x));
        set_regs(&v, (struct kvm_regs){.rip = CODE, .rsp = STACK, .rflags = 2, .rbx = 1});
        CHECK_EQ(run_to_out(&v, 0x10), 3);
        run_to_halt(&v);
        memset(&x, 0, sizeof(x));
        CHECK_OK(ioctl(v.vcpu, KVM_GET_XCRS, &x));
        CHECK_EQ(x.nr_xcrs, 1);
        CHECK_EQ(x.xcrs[0].xcr, 0);
        CHECK_EQ(x.xcrs[0].value, 1);

        static const uint64_t bad[] = {0, 2, 5, 1ull << 62};
        for (unsigned i = 0; i < 4; i++) {
            x.xcrs[0].value = bad[i];
            CHECK_ERR(ioctl(v.vcpu, KVM_SET_XCRS, &x), EINVAL);
        }
        x.xcrs[0].value = 1;
        x.nr_xcrs = 17;
        CHECK_ERR(ioctl(v.vcpu, KVM_SET_XCRS, &x), EINVAL);
        x.nr_xcrs = 1;
        x.flags = 1;
        CHECK_ERR(ioctl(v.vcpu, KVM_SET_XCRS, &x), EINVAL);
    }
    vm_close(&v);
}

GUEST_CODE(debug, 64,
           "mov %db0, %rax; mov %rax, 0x20000; mov %db3, %rax; mov %rax, 0x20008\n"
           "mov %db6, %rax; mov %rax, 0x20010; mov %rbx, %db1; hlt");

TEST(debug_registers_are_the_guests)
{
    struct vm v = OPEN_64(debug);
    struct kvm_debugregs d = {
        .db = {0x1000, 0x2000, 0x3000, 0x4000}, .dr6 = 0xffff4ff0, .dr7 = 0x400};

    CHECK_OK(ioctl(v.vcpu, KVM_SET_DEBUGREGS, &d));
    set_regs(&v, (struct kvm_regs){.rip = CODE, .rsp = STACK, .rflags = 2, .rbx = 0x5678});
    run_to_halt(&v);
    uint64_t seen[3];
    memcpy(seen, v.mem + 0x20000, sizeof(seen));
    CHECK_EQ(seen[0], 0x1000);
    CHECK_EQ(seen[1], 0x4000);
    CHECK_EQ(seen[2], 0xffff4ff0);
    CHECK_OK(ioctl(v.vcpu, KVM_GET_DEBUGREGS, &d));
    CHECK_EQ(d.db[0], 0x1000);
    CHECK_EQ(d.db[1], 0x5678);
    CHECK_EQ(d.db[2], 0x3000);
    CHECK_EQ(d.dr6, 0xffff4ff0);
    CHECK_EQ(d.dr7, 0x400);

    d.dr7 = 1ull << 32;
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_DEBUGREGS, &d), EINVAL);
    d.dr7 = 0x400;
    d.dr6 = 1ull << 32;
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_DEBUGREGS, &d), EINVAL);
    d.dr6 = 0xffff0ff0;
    d.flags = 1;
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_DEBUGREGS, &d), EINVAL);
    vm_close(&v);
}

GUEST_CODE(stopped, 64, "1: hlt; jmp 1b");
GUEST_CODE(on_exception, 64, "pop %rax; out %eax, $0x11; hlt");
GUEST_CODE(on_interrupt, 64, "out %al, $0x12; iretq");

static struct vm open_events(void)
{
    struct vm v = OPEN_64(stopped);

    memcpy(v.mem + 0x30000, on_exception, (size_t)(on_exception_end - on_exception));
    memcpy(v.mem + 0x31000, on_interrupt, (size_t)(on_interrupt_end - on_interrupt));
    set_gate64(&v, 13, 0x30000);
    set_gate64(&v, 2, 0x31000);
    set_gate64(&v, 0x40, 0x31000);
    return v;
}

static struct kvm_vcpu_events get_events(struct vm *v)
{
    struct kvm_vcpu_events e;

    memset(&e, 0xff, sizeof(e));
    CHECK_OK(ioctl(v->vcpu, KVM_GET_VCPU_EVENTS, &e));
    return e;
}

TEST(a_fresh_vcpu_has_no_events)
{
    struct vm v = open_events();
    struct kvm_vcpu_events e = get_events(&v), none = {.flags = e.flags};

    CHECK(e.flags & KVM_VCPUEVENT_VALID_NMI_PENDING && e.flags & KVM_VCPUEVENT_VALID_SHADOW);
    CHECK(!memcmp(&e, &none, sizeof(e)));
    CHECK_OK(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, &e));
    run_to_halt(&v);
    vm_close(&v);
}

TEST(an_exception_set_as_event_is_delivered)
{
    struct vm v = open_events();
    struct kvm_vcpu_events e = get_events(&v);

    e.exception.injected = 1;
    e.exception.nr = 13;
    e.exception.has_error_code = 1;
    e.exception.error_code = 0x1238;
    CHECK_OK(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, &e));
    e = get_events(&v);
    CHECK_EQ(e.exception.injected, 1);
    CHECK_EQ(e.exception.nr, 13);
    CHECK_EQ(e.exception.error_code, 0x1238);
    CHECK_EQ(run_to_out(&v, 0x11), 0x1238);
    CHECK_EQ(get_events(&v).exception.injected, 0);
    vm_close(&v);
}

TEST(an_interrupt_moves_with_the_events_to_another_vm)
{
    struct vm a = open_events(), b = open_events();
    struct kvm_regs r = get_regs(&a);
    struct kvm_interrupt irq = {.irq = 0x40};

    r.rflags |= 0x200;
    set_regs(&b, r);
    CHECK_OK(ioctl(a.vcpu, KVM_INTERRUPT, &irq));
    struct kvm_vcpu_events e = get_events(&a);
    CHECK_EQ(e.interrupt.injected, 1);
    CHECK_EQ(e.interrupt.nr, 0x40);
    CHECK_OK(ioctl(b.vcpu, KVM_SET_VCPU_EVENTS, &e));
    run_to_out(&b, 0x12);
    run_to_halt(&b);
    CHECK_EQ(get_events(&b).interrupt.injected, 0);
    vm_close(&a);
    vm_close(&b);
}

TEST(an_nmi_waits_while_events_say_that_one_is_served)
{
    struct vm v = open_events();
    struct kvm_vcpu_events e = get_events(&v);

    e.nmi.masked = 1;
    e.nmi.pending = 1;
    CHECK_OK(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, &e));
    e = get_events(&v);
    CHECK_EQ(e.nmi.masked, 1);
    CHECK_EQ(e.nmi.pending, 1);
    run_to_halt(&v);
    e.nmi.masked = 0;
    CHECK_OK(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, &e));
    run_to_out(&v, 0x12);
    e = get_events(&v);
    CHECK_EQ(e.nmi.pending, 0);
    CHECK_EQ(e.nmi.masked, 1); /* until its IRET */
    run_to_halt(&v);
    CHECK_EQ(get_events(&v).nmi.masked, 0);
    vm_close(&v);
}

TEST(a_shadow_set_as_event_reads_back)
{
    struct vm v = open_events();
    struct kvm_vcpu_events e = get_events(&v);

    set_regs(&v, (struct kvm_regs){.rip = CODE, .rsp = STACK, .rflags = 0x202});
    e.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
    CHECK_OK(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, &e));
    CHECK(get_events(&v).interrupt.shadow & KVM_X86_SHADOW_INT_STI);
    run_to_halt(&v);
    CHECK_EQ(get_events(&v).interrupt.shadow, 0); /* one instruction has gone by */
    vm_close(&v);
}

TEST(events_that_cannot_be_are_refused)
{
    struct vm v = open_events();
    struct kvm_vcpu_events e = get_events(&v), bad = e;

    bad.flags = 0x80000000;
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, &bad), EINVAL);
    bad = e;
    bad.exception.injected = 1;
    bad.exception.nr = 32;
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, &bad), EINVAL);
    bad.exception.nr = 2; /* the NMI is none of them */
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, &bad), EINVAL);
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_VCPU_EVENTS, NULL), EFAULT);
    CHECK_ERR(ioctl(v.vcpu, KVM_GET_VCPU_EVENTS, NULL), EFAULT);
    run_to_halt(&v);
    vm_close(&v);
}

TEST(cpuid_reads_back_as_set)
{
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entry[2];
    } set = {.head.nent = 2,
             .entry = {{.function = 0, .eax = 1}, {.function = 1, .eax = 0x12345, .ecx = 1}}},
      got = {.head.nent = 2};
    struct vm v = vm_open(RAM);

    CHECK_OK(ioctl(v.vcpu, KVM_SET_CPUID2, &set));
    CHECK_OK(ioctl(v.vcpu, KVM_GET_CPUID2, &got));
    CHECK_EQ(got.head.nent, 2);
    CHECK_EQ(got.entry[1].function, 1);
    CHECK_EQ(got.entry[1].eax, 0x12345);
    got.head.nent = 1;
    CHECK_ERR(ioctl(v.vcpu, KVM_GET_CPUID2, &got), E2BIG);
    vm_close(&v);
}

TEST(the_clock_goes_on_from_what_was_set)
{
    struct vm v = vm_open(RAM);
    struct kvm_clock_data set = {.clock = 5000000000000}, got = {0};

    CHECK_OK(ioctl(v.vm, KVM_SET_CLOCK, &set));
    CHECK_OK(ioctl(v.vm, KVM_GET_CLOCK, &got));
    CHECK(got.clock >= set.clock && got.clock < set.clock + 60000000000);
    set.flags = 0x80000000;
    CHECK_ERR(ioctl(v.vm, KVM_SET_CLOCK, &set), EINVAL);
    vm_close(&v);
}

TEST(the_tsc_keeps_its_frequency)
{
    struct vm v = vm_open(RAM);
    int khz = ioctl(v.vcpu, KVM_GET_TSC_KHZ, 0);

    CHECK(khz > 0);
    CHECK_OK(ioctl(v.vcpu, KVM_SET_TSC_KHZ, (unsigned long)khz));
    vm_close(&v);
}
