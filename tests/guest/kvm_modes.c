/* Guests of every mode start where the monitor put them, compute, touch memory and stop: 16, 32,
 * paged 32, 64 bits, and the ways from one to another. */
#include "tests/guest/kvm_lib.h"

GUEST_CODE(real16, 16,
           "mov $0x1234, %ax; add $0x1111, %ax\n"
           "mov $0x2000, %bx; mov %bx, %ds\n" /* FREE / 16 */
           "movw $0xbeef, 0x10\n"             /* DS:10 is FREE + 0x10 */
           "push %ax; pop %cx\n"
           "call 1f; mov %ax, %es:0x7000\n"
           "out %ax, $0x10; hlt\n"
           "1: rol $4, %ax; ret");

TEST(real_mode_computes_and_uses_segments)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, real16);
    start_real(&v);
    CHECK_EQ(run_to_out(&v, 0x10), 0x3452);
    run_to_halt(&v);
    struct kvm_regs r = get_regs(&v);
    CHECK_EQ(r.rcx & 0xffff, 0x2345);
    CHECK_EQ(r.rip, CODE + (size_t)(real16_end - real16) - 4);
    CHECK_EQ(*(uint16_t *)(v.mem + FREE + 0x10), 0xbeef);
    CHECK_EQ(*(uint16_t *)(v.mem + 0x7000), 0x3452);
    CHECK_EQ(get_sregs(&v).ds.base, FREE);
    CHECK_EQ(get_sregs(&v).ds.selector, FREE / 16);
    vm_close(&v);
}

TEST(a_new_vcpu_is_at_reset)
{
    struct vm v = vm_open(RAM);
    struct kvm_sregs s = get_sregs(&v);
    struct kvm_regs r = get_regs(&v);

    CHECK_EQ(s.cs.base, 0xffff0000);
    CHECK_EQ(s.cs.selector, 0xf000);
    CHECK_EQ(s.cs.limit, 0xffff);
    CHECK_EQ(s.ds.base, 0);
    CHECK_EQ(s.cr0, 0x60000010);
    CHECK_EQ(s.cr3, 0);
    CHECK_EQ(s.cr4, 0);
    CHECK_EQ(s.efer, 0);
    CHECK_EQ(r.rip, 0xfff0);
    CHECK_EQ(r.rflags, 2);
    CHECK_EQ(r.rax, 0);
    vm_close(&v);
}

GUEST_CODE(flat32, 32,
           "mov $0x11223344, %eax; mov %eax, 0x20010\n"
           "mov $0x10, %ecx; mov $0x20100, %edi; mov $0xa5, %al; cld; rep stosb\n"
           "push %eax; pop %edx; pusha; popa\n"
           "ljmp $8, $0x8000 + 1f - flat32\n"
           "1: mov $0x10, %ebx; mov %ebx, %fs\n"
           "imul $3, %eax, %eax; out %eax, $0x10; hlt");

TEST(protected_mode_computes)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, flat32);
    start_32(&v);
    CHECK_EQ(run_to_out(&v, 0x10), (uint32_t)(0x112233a5u * 3));
    run_to_halt(&v);
    CHECK_EQ(*(uint32_t *)(v.mem + 0x20010), 0x11223344);
    CHECK_EQ(v.mem[0x2010f], 0xa5);
    CHECK_EQ(v.mem[0x20110], 0);
    CHECK_EQ(get_regs(&v).rdx, 0x112233a5);
    CHECK_EQ(get_sregs(&v).fs.selector, 0x10);
    vm_close(&v);
}

GUEST_CODE(paged32, 32,
           "mov 0x400000, %eax; add $1, %eax; mov %eax, 0x400ffc\n"
           "movl $0x22003, 0x24004; invlpg 0x401000\n" /* the guest maps a page itself */
           "movl $0x600d, 0x401000\n"
           "mov %cr3, %ebx; out %eax, $0x10; hlt");

TEST(paging_with_small_pages_translates)
{
    struct vm v = vm_open(RAM);
    uint32_t *directory = (uint32_t *)(v.mem + TABLES), *table = (uint32_t *)(v.mem + 0x24000);

    LOAD(&v, paged32);
    start_paged32(&v);
    directory[1] = 0x24003; /* 0x400000 and up: a table of 4 KiB pages */
    table[0] = 0x21003;
    *(uint32_t *)(v.mem + 0x21000) = 41;
    CHECK_EQ(run_to_out(&v, 0x10), 42);
    run_to_halt(&v);
    CHECK_EQ(*(uint32_t *)(v.mem + 0x21ffc), 42);
    CHECK_EQ(*(uint32_t *)(v.mem + 0x22000), 0x600d);
    CHECK_EQ(get_regs(&v).rbx, TABLES);
    CHECK_EQ(table[0] & 0x60, 0x60); /* accessed and dirty */
    vm_close(&v);
}

GUEST_CODE(long64, 64,
           "movabs $0x1122334455667788, %rax; mov %rax, 0x20000\n"
           "mov %rax, %r8; bswap %r8; mov %r8, %r15; xor %rax, %r15\n"
           "mov $0xc0000080, %ecx; rdmsr; mov %eax, %ebx\n"
           "movq %r8, %xmm3; paddq %xmm3, %xmm3; movq %xmm3, 0x20008\n"
           "push %r15; popq 0x20010; lea 1f(%rip), %rdx; call *%rdx; hlt\n"
           "1: mov $0x64, %eax; out %al, $0x10; ret");

TEST(long_mode_computes)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, long64);
    start_64(&v);
    CHECK_EQ(run_to_out(&v, 0x10), 0x64);
    run_to_halt(&v);
    struct kvm_regs r = get_regs(&v);
    const uint64_t value = 0x1122334455667788, swapped = 0x8877665544332211;
    CHECK_EQ(r.r8, swapped);
    CHECK_EQ(r.r15, value ^ swapped);
    CHECK_EQ(r.rbx & 0x500, 0x500);
    CHECK_EQ(*(uint64_t *)(v.mem + 0x20000), value);
    CHECK_EQ(*(uint64_t *)(v.mem + 0x20008), swapped * 2);
    CHECK_EQ(*(uint64_t *)(v.mem + 0x20010), value ^ swapped);
    vm_close(&v);
}

GUEST_CODE(climb, 16,
           "cli; lgdtl %cs:0x8000 + 9f - climb\n"
           "mov %cr0, %eax; or $1, %al; mov %eax, %cr0\n"
           "ljmpl $8, $0x8000 + 1f - climb\n"
           ".code32\n"
           "1: mov $0x10, %eax; mov %eax, %ds; mov %eax, %ss; mov $0x6000, %esp\n"
           "mov $32, %al; out %al, $0x10\n"
           "movl $0x31003, 0x30000; movl $0x32003, 0x31000; movl $0x83, 0x32000\n"
           "mov %cr4, %eax; or $0x20, %eax; mov %eax, %cr4\n"
           "mov $0x30000, %eax; mov %eax, %cr3\n"
           "mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr\n"
           "mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
           "ljmp $0x18, $0x8000 + 2f - climb\n"
           ".code64\n"
           "2: mov $64, %al; out %al, $0x10\n"
           "pushq $8; lea 3f(%rip), %rax; push %rax; lretq\n" /* down to compatibility mode */
           ".code32\n"
           "3: mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
           "mov $33, %al; out %al, $0x10; hlt\n"
           "8: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff\n"
           "9: .word 31; .long 0x8000 + 8b - climb");

TEST(a_guest_climbs_from_real_to_long_mode_and_down)
{
    struct vm v = vm_open(RAM);

    set_supported_cpuid(&v);
    LOAD(&v, climb);
    start_real(&v);
    CHECK_EQ(run_to_out(&v, 0x10), 32);
    CHECK_EQ(run_to_out(&v, 0x10), 64);
    CHECK_EQ(get_sregs(&v).efer & 0x500, 0x500);
    CHECK_EQ(get_sregs(&v).cs.l, 1);
    CHECK_EQ(run_to_out(&v, 0x10), 33);
    CHECK_EQ(get_sregs(&v).efer & 0x500, 0x100);
    run_to_halt(&v);
    vm_close(&v);
}

TEST(registers_set_are_registers_got)
{
    struct vm v = vm_open(RAM);
    struct kvm_regs set = {.rax = 1,
                           .rbx = 2,
                           .rcx = 3,
                           .rdx = 4,
                           .rsi = 5,
                           .rdi = 6,
                           .rsp = 7,
                           .rbp = 8,
                           .r8 = 9,
                           .r9 = 10,
                           .r10 = 11,
                           .r11 = 12,
                           .r12 = 13,
                           .r13 = 14,
                           .r14 = 15,
                           .r15 = 16,
                           .rip = 0x8000,
                           .rflags = 0x46};
    start_64(&v);
    set_regs(&v, set);
    struct kvm_regs got = get_regs(&v);
    CHECK(!memcmp(&set, &got, sizeof(set)));
    struct kvm_sregs s = get_sregs(&v);
    s.fs.base = 0x123456789000;
    s.gs.base = 0xffff800000001000;
    s.cr2 = 0xdead000;
    set_sregs(&v, s);
    struct kvm_sregs t = get_sregs(&v);
    CHECK_EQ(t.fs.base, s.fs.base);
    CHECK_EQ(t.gs.base, s.gs.base);
    CHECK_EQ(t.cr2, s.cr2);
    CHECK_EQ(t.cr4, s.cr4);
    CHECK_EQ(t.idt.limit, s.idt.limit);
    vm_close(&v);
}
