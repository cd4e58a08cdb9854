/* The floor of the 32-bit guests: Multiboot header, segments, and one stub for each vector. Ring 0, no paging. */
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
    lgdt gdt_pointer
    ljmp $8, $1f
1:  mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    push $0
    popf
    call start

    .globl trap_stubs
    .balign 16
trap_stubs:
    vector = 0
    .rept 64
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
    push $0
    .endif
    push $vector
    jmp trap_common
    vector = vector + 1
    .endr

    /* void trap(struct trap *t): the registers as PUSHA leaves them, vector, error, EIP, CS, EFLAGS */
trap_common:
    pusha
    cld
    push %esp
    call trap
    add $4, %esp
    popa
    add $8, %esp
    iret

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9a000000ffff
    .quad 0x00cf92000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long gdt
    .globl boot_info
boot_info: .long 0

    .bss
    .balign 4096
    .skip 16384
stack_top:

    .section .note.GNU-stack, "", @progbits
