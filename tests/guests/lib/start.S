/*
 * A Multiboot kernel's first instructions: from 32-bit protected mode to 64-bit C. The first 4 GiB are mapped one to one in 2 MiB
 * pages. Traps and interrupts arrive at guest_trap() in guest.c with the registers below on the stack.
 */
#define MAGIC 0x1badb002
#define FLAGS 3

    .section .multiboot, "a"
    .balign 4
    .long MAGIC, FLAGS, -(MAGIC + FLAGS)

    .text
    .code32
    .globl _start
_start:
    cli
    cld
    mov $stack_top, %esp
    mov %ebx, boot_info
    mov %eax, boot_magic

    /* The page tables: one PML4 entry, four of the PDPT, 2048 large pages. */
    mov $page_directories + 3, %eax
    mov $pdpt, %edi
    mov $4, %ecx
1:  mov %eax, (%edi)
    add $4096, %eax
    add $8, %edi
    loop 1b
    movl $pdpt + 3, pml4
    mov $page_directories, %edi
    mov $0x83, %eax
    mov $2048, %ecx
2:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 2b

    mov %cr4, %eax
    or $0x20, %eax              /* PAE */
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx       /* EFER */
    rdmsr
    or $0x100, %eax             /* LME */
    wrmsr
    mov %cr0, %eax
    or $0x80010000, %eax        /* PG, WP */
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $long_mode

    .code64
long_mode:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    call guest_start
halt:
    cli
    hlt
    jmp halt

    /* One stub for each vector; those without an error code push a zero. */
    .globl trap_stubs
    .balign 16
trap_stubs:
    vector = 0
    .rept 256
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
    push $0
    .endif
    push $vector
    jmp trap_common
    vector = vector + 1
    .endr

trap_common:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    mov 72(%rsp), %rdi
    mov 80(%rsp), %rsi
    lea 88(%rsp), %rdx
    cld
    call guest_trap
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

    /* int guest_try(void (*f)(void)): the vector of the exception in f, or -1 */
    .globl guest_try
guest_try:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    sub $8, %rsp
    mov %rsp, guest_recovery
    call *%rdi
    mov $-1, %eax
    /* void guest_recover(int vector) comes here with the vector in eax */
3:  mov guest_recovery, %rsp
    movq $0, guest_recovery
    add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .globl guest_recover
guest_recover:
    mov %edi, %eax
    jmp 3b

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .quad gdt

    .globl boot_info, boot_magic, guest_recovery, gdt, pml4
boot_info:      .long 0
boot_magic:     .long 0
guest_recovery: .quad 0

    .bss
    .balign 4096
pml4:               .skip 4096
pdpt:               .skip 4096
page_directories:   .skip 4 * 4096
    .skip 16384
stack_top:

    .section .note.GNU-stack, "", @progbits
