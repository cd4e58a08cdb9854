/* Starts a second processor: it comes up in real mode at AP_PAGE and goes on in 64-bit C. */
#define AP_PAGE 0x8000
#define HERE(label) (AP_PAGE + label - ap_code)
#define ICR 0xfee00300

    .text
    /* void second_cpu_start(void (*f)(void)): f must not return */
    .globl second_cpu_start
second_cpu_start:
    mov %rdi, second_cpu_main
    mov $ap_code, %esi
    mov $AP_PAGE, %edi
    mov $ap_code_end - ap_code, %ecx
    rep movsb
    mov $ICR, %edi
    movl $0xc4500, (%rdi)               /* INIT to all but this one */
    movl $0xc4600 | AP_PAGE >> 12, (%rdi)  /* start up */
    ret

    .code16
ap_code:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl HERE(ap_gdt_pointer)
    mov %cr4, %eax
    or $0x20, %eax                      /* PAE */
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx               /* EFER */
    rdmsr
    or $0x100, %eax                     /* LME */
    wrmsr
    mov %cr0, %eax
    or $0x80010001, %eax                /* PG, WP, PE */
    mov %eax, %cr0
    ljmpl $8, $ap_long
    .balign 8
ap_gdt_pointer:
    .word 3 * 8 - 1
    .long gdt
ap_code_end:

    .code64
ap_long:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $ap_stack_top, %esp
    call *second_cpu_main
    ud2

    .bss
    .balign 8
second_cpu_main:    .skip 8
    .balign 16
    .skip 16384
ap_stack_top:

    .section .note.GNU-stack, "", @progbits
