// The first instructions of the other CPUs. SIPI starts them in real mode at AP_TRAMPOLINE, where smp.c has copied this code;
// they go straight from there to long mode on the boot page tables, then to ap_main() on the stack in ap_stack.
#include "kernel/x86/stack.h"

#define KERNEL_BASE 0xffffffff80000000
#define PHYS(symbol) ((symbol) - KERNEL_BASE)
#define HERE(symbol) (AP_TRAMPOLINE + (symbol) - ap_trampoline)
#define CR0_PE_MP_ET_NE_WP_PG 0x80010033
#define CR4_PAE_PGE 0xa0
#define EFER 0xc0000080
#define EFER_SCE_LME_NXE 0x901

    .section .rodata
    .align 16
    .global ap_trampoline, ap_trampoline_end
    .code16
ap_trampoline:
    cli
    cld
    xor %ax, %ax
    mov %ax, %ds
    lgdtl HERE(ap_gdt_pointer)
    mov $CR4_PAE_PGE, %eax
    mov %eax, %cr4
    mov $PHYS(boot_pml4), %eax
    mov %eax, %cr3
    mov $EFER, %ecx
    rdmsr
    or $EFER_SCE_LME_NXE, %eax
    wrmsr
    mov $CR0_PE_MP_ET_NE_WP_PG, %eax
    mov %eax, %cr0
    ljmpl $8, $HERE(ap_long)
    .align 4
ap_gdt_pointer:
    .word 23
    .long PHYS(boot_gdt)
    .code64
ap_long:
    movabs $ap_entry64, %rax
    jmp *%rax
ap_trampoline_end:

    .text
ap_entry64:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov ap_stack(%rip), %rsp
    xor %ebp, %ebp
    call ap_main
    ud2
