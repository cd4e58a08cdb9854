/* What a guest may not do gives it the exception of the manual, and nothing reaches the host:
 * invariant 7 and its neighbours. */
#include "tests/guest/kvm_lib.h"

enum { DE = 0, BP = 3, UD = 6, GP = 13, PF = 14, NONE = 0xff };

/* Handlers at CODE + 0x100 + 8 * vector put out their vector's number and stop. The code under test
 * starts at CODE. */
GUEST_CODE(handlers, 64,
           "vector = 0\n"
           ".rept 32\n"
           "mov $vector, %al; jmp 9f\n"
           ".balign 8\n"
           "vector = vector + 1\n"
           ".endr\n"
           "9: out %al, $0x10; hlt");

#define FAULT_CODE(n, text) GUEST_CODE(fault_##n, 64, text "; mov $0xff, %al; out %al, $0x10; hlt")

FAULT_CODE(nothing, "nop");
FAULT_CODE(ud2, "ud2");
FAULT_CODE(divide, "xor %ecx, %ecx; div %ecx");
FAULT_CODE(int3, "int3");
FAULT_CODE(rdmsr_unknown, "mov $0xdeadbeef, %ecx; rdmsr");
FAULT_CODE(wrmsr_unknown, "mov $0xdeadbeef, %ecx; wrmsr");
FAULT_CODE(k7_counters, "mov $0xc0010000, %ecx; wrmsr; mov $0xc0010007, %ecx; wrmsr; rdmsr");
FAULT_CODE(machine_check_banks, "mov $0x179, %ecx; rdmsr");
FAULT_CODE(efer_svme, "mov $0xc0000080, %ecx; rdmsr; or $0x1000, %eax; wrmsr");
FAULT_CODE(efer_reserved, "mov $0xc0000080, %ecx; rdmsr; or $2, %eax; wrmsr");
FAULT_CODE(cr4_reserved, "mov %cr4, %rax; or $0x8000, %rax; mov %rax, %cr4");
FAULT_CODE(cr4_vmxe, "mov %cr4, %rax; or $0x2000, %rax; mov %rax, %cr4");
FAULT_CODE(cr4_pae_off_in_long_mode, "mov %cr4, %rax; and $~0x20, %rax; mov %rax, %cr4");
FAULT_CODE(cr8_reserved, "mov $0x10, %eax; mov %rax, %cr8");
FAULT_CODE(page_not_mapped, "mov $0x40000000, %eax; mov (%rax), %eax");
FAULT_CODE(noncanonical, "mov $0x8000000000000000, %rax; mov (%rax), %eax");
FAULT_CODE(vmrun, "xor %eax, %eax; vmrun %rax");
FAULT_CODE(vmload, "xor %eax, %eax; vmload %rax");
FAULT_CODE(vmsave, "xor %eax, %eax; vmsave %rax");
FAULT_CODE(invlpga, "xor %eax, %eax; xor %ecx, %ecx; invlpga %rax, %ecx");
FAULT_CODE(skinit, "xor %eax, %eax; skinit %eax");
FAULT_CODE(vmxon, "vmxon -8(%rsp)");
FAULT_CODE(vmxoff, "vmxoff");
FAULT_CODE(vmlaunch, "vmlaunch");
FAULT_CODE(vmresume, "vmresume");
FAULT_CODE(vmptrld, "vmptrld -8(%rsp)");
FAULT_CODE(vmread, "vmread %rax, %rcx");
FAULT_CODE(lgdt_and_back, "sgdt -16(%rsp); lgdt -16(%rsp); sidt -16(%rsp); lidt -16(%rsp)");
FAULT_CODE(cr3_same,
           "mov %cr3, %rax; mov %rax, %cr3; invlpg 0x20000; wbinvd; clts; mov %cr8, %rax");
FAULT_CODE(debug_registers,
           "mov $0x400, %eax; mov %rax, %dr7; mov %dr7, %rax; mov %rax, %dr0; mov %dr6, %rcx");

#define CASE(n, vector)                                                                            \
    {                                                                                              \
#n, fault_##n, fault_##n##_end, vector                                                     \
    }
static const struct {
    const char *name;
    const uint8_t *code, *end;
    uint8_t vector;
} cases[] = {
    CASE(nothing, NONE),
    CASE(ud2, UD),
    CASE(divide, DE),
    CASE(int3, BP),
    CASE(rdmsr_unknown, GP),
    CASE(wrmsr_unknown, GP),
    CASE(k7_counters, NONE),
    CASE(machine_check_banks, NONE),
    CASE(efer_svme, GP),
    CASE(efer_reserved, GP),
    CASE(cr4_reserved, GP),
    CASE(cr4_vmxe, GP),
    CASE(cr4_pae_off_in_long_mode, GP),
    CASE(cr8_reserved, GP),
    CASE(page_not_mapped, PF),
    CASE(noncanonical, GP),
    CASE(vmrun, UD),
    CASE(vmload, UD),
    CASE(vmsave, UD),
    CASE(invlpga, UD),
    CASE(skinit, UD),
    CASE(vmxon, UD),
    CASE(vmxoff, UD),
    CASE(vmlaunch, UD),
    CASE(vmresume, UD),
    CASE(vmptrld, UD),
    CASE(vmread, UD),
    CASE(lgdt_and_back, NONE),
    CASE(cr3_same, NONE),
    CASE(debug_registers, NONE),
};

static uint8_t run_case(const uint8_t *code, const uint8_t *end, uint64_t *cr2)
{
    struct vm v = vm_open(RAM);

    CHECK(end - code <= 0x100);
    set_supported_cpuid(&v);
    memcpy(v.mem + CODE, code, (size_t)(end - code));
    memcpy(v.mem + CODE + 0x100, handlers, (size_t)(handlers_end - handlers));
    start_64(&v);
    for (unsigned i = 0; i < 32; i++)
        set_gate64(&v, i, CODE + 0x100 + 8 * i);
    uint8_t vector = (uint8_t)run_to_out(&v, 0x10);
    *cr2 = get_sregs(&v).cr2;
    vm_close(&v);
    return vector;
}

TEST(forbidden_things_give_the_manuals_exception)
{
    uint64_t cr2;
    int wrong = 0;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t vector = run_case(cases[i].code, cases[i].end, &cr2);
        if (vector != cases[i].vector) {
            printf("    case %s: vector %u, expected %u\n", cases[i].name, vector, cases[i].vector);
            wrong++;
        }
    }
    CHECK_EQ(wrong, 0);
}

TEST(a_page_fault_leaves_its_address_in_cr2)
{
    uint64_t cr2;

    CHECK_EQ(run_case(fault_page_not_mapped, fault_page_not_mapped_end, &cr2), PF);
    CHECK_EQ(cr2, 0x40000000);
}

#define TO_USER(name, text)                                                                        \
    GUEST_CODE(name, 64,                                                                           \
               "pushq $0x1b; pushq $0x5000; pushq $0x202; pushq $0x23\n"                           \
               "pushq $0x8000 + 1f - " #name "; iretq\n1: " text)
TO_USER(user_halt, "mov %cs, %eax; and $3, %eax; mov %eax, 0x20000; hlt");
TO_USER(user_device, "movups 0x10000000, %xmm0");

/* The vector that the user program ends with. */
static uint32_t run_user(struct vm *v, const uint8_t *code, const uint8_t *end)
{
    load(v, code, end);
    memcpy(v->mem + CODE + 0x100, handlers, (size_t)(handlers_end - handlers));
    start_64(v);
    uint64_t *tables = (uint64_t *)(v->mem + TABLES);
    tables[0] |= 4;
    tables[512] |= 4;
    tables[1024] |= 4;
    tables[1024 + 128] |= 4;
    uint64_t *gdt = (uint64_t *)(v->mem + GDT);
    gdt[3] = 0x00cff3000000ffff;                  /* 0x1b: user data */
    gdt[4] = 0x00affb000000ffff;                  /* 0x23: user code */
    gdt[5] = 0x00008b0000000067 | 0x700ull << 16; /* 0x28: a busy TSS at 0x700 */
    *(uint64_t *)(v->mem + 0x704) = STACK;        /* RSP0 */
    struct kvm_sregs s = get_sregs(v);
    s.gdt.limit = 7 * 8 - 1;
    s.tr = (struct kvm_segment){
        .base = 0x700, .limit = 0x67, .selector = 0x28, .type = 0xb, .present = 1};
    set_sregs(v, s);
    set_gate64(v, GP, CODE + 0x100 + 8 * GP);
    set_gate64(v, UD, CODE + 0x100 + 8 * UD);
    return run_to_out(v, 0x10);
}

/* Privileged instructions of the guest's own user mode are the guest's business; so is what its
 * user mode does to devices that cannot be done for it. */
TEST(guest_user_mode_is_kept_apart)
{
    struct vm v = vm_open(RAM);

    CHECK_EQ(run_user(&v, user_halt, user_halt_end), GP);
    CHECK_EQ(*(uint32_t *)(v.mem + 0x20000), 3);
    vm_close(&v);
    v = vm_open(RAM);
    CHECK_EQ(run_user(&v, user_device, user_device_end), UD);
    vm_close(&v);
}

GUEST_CODE(no_memory_for_the_frame, 64, "mov $0x10000100, %esp; movb $3, (%rsp); ud2");

TEST(an_event_whose_frame_falls_on_a_device_is_told)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, no_memory_for_the_frame);
    start_64(&v);
    set_gate64(&v, UD, CODE + 0x100);
    run_to(&v, KVM_EXIT_MMIO);
    CHECK_EQ(v.run->mmio.data[0], 3);
    run_to(&v, KVM_EXIT_INTERNAL_ERROR);
    CHECK_EQ(v.run->internal.suberror, KVM_INTERNAL_ERROR_DELIVERY_EV);
    vm_close(&v);
}
