// From the boot loader to C. Multiboot enters entry32 in 32-bit protected mode without paging, with
// flat segments, EAX = magic, EBX = physical address of the boot information, interrupts off.
//
// The boot page tables map the first 4 GiB with 2 MiB pages three times: at 0 (only for this code
// and the trampoline of other CPUs), at DIRECT_MAP, and the first 2 GiB at KERNEL_BASE. paging.c
// replaces them with tables that protect.
#include "kernel/boot/multiboot.h"
#include "kernel/x86/stack.h"

#define KERNEL_BASE 0xffffffff80000000
#define PHYS(symbol) ((symbol) - KERNEL_BASE)
#define PAGE_TABLE_FLAGS 3        // present, writable
#define PAGE_2M_FLAGS 0x83        // present, writable, large
#define DIRECT_MAP_SLOT 273       // PML4 index of 0xffff888000000000
#define CR0_PE_MP_ET_NE_WP_PG 0x80010033
#define CR4_PSE_PAE_PGE 0xb0
#define EFER 0xc0000080
#define EFER_SCE_LME 0x101
#define EFER_NXE 0x800

    .section .boot, "ax"
    .align 8
    .long MULTIBOOT_HEADER_MAGIC
    .long MULTIBOOT_HEADER_FLAGS
    .long -(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_HEADER_FLAGS)

    .code32
    .global entry32
entry32:
    cld
    mov $(PHYS(boot_stacks) + BOOT_STACK_SIZE), %esp // Multiboot gives none
    mov %eax, %esi
    mov %ebx, %edi
    cmp $MULTIBOOT_LOADER_MAGIC, %eax
    jne not_multiboot
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx
    jnc no_long_mode
    mov %edx, %ebp

    // Page directories: 2048 entries of 2 MiB.
    mov $PHYS(boot_pd), %ebx
    mov $PAGE_2M_FLAGS, %eax
    xor %ecx, %ecx
1:  mov %eax, (%ebx, %ecx, 8)
    add $0x200000, %eax
    inc %ecx
    cmp $2048, %ecx
    jne 1b
    // Page directory pointers: four from 0, two at the upper end.
    mov $(PHYS(boot_pd) + PAGE_TABLE_FLAGS), %eax
    mov %eax, PHYS(boot_pdpt_low) + 0
    mov %eax, PHYS(boot_pdpt_high) + 510 * 8
    add $0x1000, %eax
    mov %eax, PHYS(boot_pdpt_low) + 8
    mov %eax, PHYS(boot_pdpt_high) + 511 * 8
    add $0x1000, %eax
    mov %eax, PHYS(boot_pdpt_low) + 16
    add $0x1000, %eax
    mov %eax, PHYS(boot_pdpt_low) + 24
    movl $(PHYS(boot_pdpt_low) + PAGE_TABLE_FLAGS), PHYS(boot_pml4)
    movl $(PHYS(boot_pdpt_low) + PAGE_TABLE_FLAGS), PHYS(boot_pml4) + DIRECT_MAP_SLOT * 8
    movl $(PHYS(boot_pdpt_high) + PAGE_TABLE_FLAGS), PHYS(boot_pml4) + 511 * 8

    call enter_long_mode
    lgdt boot_gdt_pointer
    ljmp $8, $entry64_low

// Turns paging and long mode on. EBP: EDX of CPUID 0x80000001. Clobbers EAX, ECX, EDX.
    .global enter_long_mode
enter_long_mode:
    mov $CR4_PSE_PAE_PGE, %eax
    mov %eax, %cr4
    mov $PHYS(boot_pml4), %eax
    mov %eax, %cr3
    mov $EFER, %ecx
    rdmsr
    or $EFER_SCE_LME, %eax
    bt $20, %ebp
    jnc 1f
    or $EFER_NXE, %eax
1:  wrmsr
    mov $CR0_PE_MP_ET_NE_WP_PG, %eax
    mov %eax, %cr0
    ret

// Too early for the log: the words go to the serial port and the screen, then the CPU stops.
not_multiboot:
    mov $text_not_multiboot, %esi
    jmp say_and_stop
no_long_mode:
    mov $text_no_long_mode, %esi
say_and_stop:
    mov $0xb8000, %edi
1:  lodsb
    test %al, %al
    jz 2f
    mov $0x3f8, %dx
    out %al, %dx
    mov $0x07, %ah
    stosw
    jmp 1b
2:  cli
    hlt
    jmp 2b
text_not_multiboot:
    .asciz "Vivarium: not started by a Multiboot boot loader\r\n"
text_no_long_mode:
    .asciz "Vivarium: this CPU has no 64-bit mode\r\n"

    .code64
entry64_low:
    movabs $entry64, %rax
    jmp *%rax

    .section .text
entry64:
    lgdt boot_gdt_pointer_high(%rip)
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov $(boot_stacks + BOOT_STACK_SIZE), %rsp
    xor %ebp, %ebp
    mov %edi, %edi              // the boot information: upper half cleared
    call kernel_main
    ud2

    .section .rodata
    .align 8
    .global boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    // 0x08: 64-bit code
    .quad 0x00cf93000000ffff    // 0x10: data
boot_gdt_end:
boot_gdt_pointer_high:
    .word boot_gdt_end - boot_gdt - 1
    .quad boot_gdt

    .section .boot
    .align 4
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long PHYS(boot_gdt)

    .section .bss
    .align 4096
    .global boot_pml4
boot_pml4:
    .skip 4096
boot_pdpt_low:
    .skip 4096
boot_pdpt_high:
    .skip 4096
boot_pd:
    .skip 4 * 4096
    .global boot_stacks
boot_stacks:
    .skip BOOT_STACK_SIZE * MAX_CPUS
