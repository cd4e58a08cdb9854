#pragma once
/* Reset state, the modes that a guest starts in, its exits and the registers behind them. */
#include "tests/oracle/oracle.h"

TEST(reset_state)
{
    struct vm v = vm_open(RAM);
    struct kvm_regs r = get_regs(&v);

    r.rdx = 0; /* the processor's model */
    set_regs(&v, r);
    say_regs(&v);
    say_sregs(&v);
}

GUEST_CODE(sums, 16, "mov $0x1234, %ax; add $0x4321, %ax; mov %ax, %bx; neg %bx; hlt");
GUEST_CODE(sums32, 32,
           "mov $0x12345678, %eax; add %eax, %eax; mov %esp, %ebx; cmp %eax, %ebx; hlt");
GUEST_CODE(sums64, 64, "movabs $0x123456789abcdef0, %rax; imul %rax, %rax; mov %rax, %r15; hlt");

#define STARTED(code, start)                                                                       \
    do {                                                                                           \
        struct vm v = vm_open(RAM);                                                                \
        set_supported_cpuid(&v);                                                                   \
        LOAD(&v, code);                                                                            \
        start(&v);                                                                                 \
        run_and_say(&v, 40);                                                                       \
        say_regs(&v);                                                                              \
        say_sregs(&v);                                                                             \
    } while (0)

TEST(real_mode)
{
    STARTED(sums, start_real);
}

TEST(protected_mode)
{
    STARTED(sums32, start_32);
}

TEST(paged_32_bit_mode)
{
    STARTED(sums32, start_paged32);
}

TEST(long_mode)
{
    STARTED(sums64, start_64);
}

GUEST_CODE(ports, 64,
           "mov $0x42, %al; out %al, $0x10; mov $0x1234, %ax; mov $0x3f8, %dx; out %ax, %dx\n"
           "mov $0xdeadbeef, %eax; out %eax, %dx; in %dx, %al; in %dx, %ax; in %dx, %eax\n"
           "mov $0x20000, %edi; mov $3, %ecx; cld; rep insb; mov $2, %ecx; rep insw\n"
           "insl; mov $0x20000, %esi; mov $3, %ecx; rep outsb; mov $2, %ecx; rep outsw; outsl\n"
           "std; mov $2, %ecx; rep outsb; xor %ecx, %ecx; rep insb; hlt");

TEST(port_io)
{
    STARTED(ports, start_64);
}

GUEST_CODE(mmio, 64,
           "mov $0x10000000, %ebx; mov $0x1122334455667788, %rax; mov %al, (%rbx)\n"
           "mov %ax, 8(%rbx); mov %eax, 16(%rbx); mov %rax, 24(%rbx); movb $1, (%rbx)\n"
           "movw $2, (%rbx); movl $3, (%rbx); movq $-4, (%rbx); mov (%rbx), %cl\n"
           "mov (%rbx), %cx; mov (%rbx), %ecx; mov (%rbx), %rcx; movzbl (%rbx), %edx\n"
           "movzwl (%rbx), %esi; movsbq (%rbx), %rdi; movswl (%rbx), %ebp; movslq (%rbx), %r8\n"
           "hlt");

TEST(mmio_moves)
{
    STARTED(mmio, start_64);
}

GUEST_CODE(mmio_alu, 64,
           "mov $0x10000000, %ebx; mov $5, %eax; add %eax, (%rbx); or %al, (%rbx)\n"
           "and %ax, (%rbx); xor %rax, (%rbx); sub $1, %eax; sub (%rbx), %eax; cmp (%rbx), %eax\n"
           "test %eax, (%rbx); incl (%rbx); decb (%rbx); xchg %eax, (%rbx); hlt");

TEST(mmio_arithmetic)
{
    STARTED(mmio_alu, start_64);
}

GUEST_CODE(mmio_string, 64,
           "mov $0x10000000, %edi; mov $0x41, %al; mov $3, %ecx; rep stosb; stosq\n"
           "mov $0x10000000, %esi; mov $0x20000, %edi; mov $2, %ecx; rep movsl; lodsw; hlt");

TEST(mmio_strings)
{
    STARTED(mmio_string, start_64);
}

GUEST_CODE(triple, 64, "lidt 1f(%rip); ud2; hlt\n1: .word 0; .quad 0");

TEST(shutdown)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, triple);
    start_64(&v);
    run_and_say(&v, 3);
}

/* Each instruction at CODE gets the vector of its fault, its error code and how far it went. */
GUEST_CODE(fault_entry, 64, ".rept 32; call 1f; nop; nop; nop; .endr\n1: pop %rax; hlt");

static void fault_of(const char *name, const uint8_t *code, const uint8_t *end)
{
    struct vm v = vm_open(RAM);

    set_supported_cpuid(&v);
    load(&v, code, end);
    memcpy(v.mem + FREE, fault_entry, (size_t)(fault_entry_end - fault_entry));
    start_64(&v);
    for (unsigned i = 0; i < 32; i++)
        set_gate64(&v, i, FREE + 8 * i);
    say("%s:\n", name);
    run_and_say(&v, 3);
    struct kvm_regs r = get_regs(&v);
    if (r.rip > FREE)
        say("vector %lld stack %llx %llx %llx\n", (long long)(r.rax - FREE) / 8,
            *(unsigned long long *)(v.mem + r.rsp), *(unsigned long long *)(v.mem + r.rsp + 8),
            *(unsigned long long *)(v.mem + r.rsp + 16));
    else
        say("no fault: rax %llx rdx %llx\n", r.rax, r.rdx);
    vm_close(&v);
}

#define FAULT(name, text)                                                                          \
    GUEST_CODE(name, 64, text);                                                                    \
    TEST(fault_##name)                                                                             \
    {                                                                                              \
        fault_of(text, name, name##_end);                                                          \
    }

FAULT(vmrun, "vmrun; hlt")
FAULT(vmload, "vmload; hlt")
FAULT(vmsave, "vmsave; hlt")
FAULT(clgi, "clgi; hlt")
FAULT(stgi, "stgi; hlt")
FAULT(vmxon, "vmxon (%rsp); hlt")
FAULT(divide, "xor %ecx, %ecx; div %ecx; hlt")
FAULT(breakpoint, "int3; hlt")
FAULT(page, "mov $0x7fff00000000, %rax; mov (%rax), %al; hlt")
FAULT(canonical, "mov $0x800000000000, %rax; mov (%rax), %al; hlt")
FAULT(cr0_reserved, "mov $0x80000000, %eax; mov %rax, %cr0; hlt")
FAULT(cr4_reserved, "mov $0x80000620, %eax; mov %rax, %cr4; hlt")
FAULT(cr4_pae, "xor %eax, %eax; mov %rax, %cr4; hlt")
FAULT(efer_svme, "mov $0xc0000080, %ecx; rdmsr; or $0x1000, %eax; wrmsr; hlt")
FAULT(efer_lme, "mov $0xc0000080, %ecx; rdmsr; and $~0x100, %eax; wrmsr; hlt")
FAULT(unknown_msr_read, "mov $0xdead, %ecx; rdmsr; hlt")
FAULT(unknown_msr_write, "mov $0xdead, %ecx; wrmsr; hlt")
FAULT(pat_bad, "mov $0x277, %ecx; mov $2, %eax; xor %edx, %edx; wrmsr; hlt")
FAULT(pat_read, "mov $0x277, %ecx; rdmsr; hlt")
FAULT(lstar_bad, "mov $0xc0000082, %ecx; mov $0x800000, %edx; wrmsr; hlt")
FAULT(apic_base, "mov $0x1b, %ecx; rdmsr; hlt")
FAULT(xsetbv_bad, "xor %ecx, %ecx; xor %eax, %eax; xor %edx, %edx; xsetbv; hlt")
FAULT(hypercall, "mov $99, %eax; vmmcall; hlt")
FAULT(cpuid_leaf, "mov $0x40000099, %eax; cpuid; hlt")
