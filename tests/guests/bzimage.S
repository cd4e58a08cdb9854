/* A kernel of Linux's boot protocol with all three entries: it says at which it was entered, prints its command line and
   the first line of its initial RAM disk, and switches the machine off. The memory that it counts is the E820 map's. */
#define SETUP_SECTS 1
#define CMD_LINE_PTR 0x228
#define RAMDISK_IMAGE 0x218
#define RAMDISK_SIZE 0x21c
#define E820_ENTRIES 0x1e8
#define COM1 0x3f8

    .text
    .globl _start
_start:
    .org 0x1f1
    .byte SETUP_SECTS
    .word 0
    .long (end - kernel + 15) / 16
    .word 0, 0, 0, 0xaa55
    .byte 0xeb, setup - 1f      /* jump */
1:  .ascii "HdrS"
    .word 0x020c                /* version */
    .long 0
    .word 0, 0
    .byte 0, 1                  /* type_of_loader, loadflags: LOADED_HIGH */
    .word 0
    .long 0x100000              /* code32_start */
    .long 0, 0, 0
    .word 0
    .byte 0, 0
    .long 0                     /* cmd_line_ptr */
    .long 0x0fffffff            /* initrd_addr_max */
    .long 0x100000              /* kernel_alignment */
    .byte 1, 20                 /* relocatable_kernel, min_alignment */
    .word 1                     /* xloadflags: the 64-bit entry is there */
    .long 255                   /* cmdline_size */
    .long 0
    .quad 0
    .long 0, 0
    .quad 0
    .quad 0x400000              /* pref_address */
    .long 0x10000               /* init_size */
    .long 0, 0

/* Segments are the setup code's, CS 0x20 paragraphs behind. */
    .code16
setup:
    mov $text16, %si
    mov $text16_end - text16, %cx
    mov $COM1, %dx
    rep outsb
    xor %ebx, %ebx              /* INT 15h E820: a range at a time */
    xor %bp, %bp
2:  mov $0xe820, %eax
    mov $0x534d4150, %edx
    mov $20, %ecx
    mov $buffer, %di
    int $0x15
    jc 3f
    inc %bp
    test %ebx, %ebx
    jnz 2b
3:  mov %bp, %ax
    add $'0', %al
    mov $COM1, %dx
    out %al, %dx
    mov $' ', %al
    out %al, %dx
    mov CMD_LINE_PTR, %eax
    shr $4, %eax
    mov %ax, %ds
    xor %si, %si
4:  lodsb
    test %al, %al
    jz 5f
    out %al, %dx
    jmp 4b
5:  mov $'\n', %al
    out %al, %dx
    mov $0x604, %dx
    mov $0x2000, %ax
    out %ax, %dx
text16:
    .ascii "real mode, ranges "
text16_end:
    .org 0x400 - 24
buffer:

/* ESI is the zero page. The code is at any address. */
    .org 0x400
kernel:
    .code32
    mov $'3', %al
    mov $'2', %bl
    jmp 1f
    .org kernel + 0x200
    .code64
    mov $'6', %al
    mov $'4', %bl

/* What follows means the same in 32 and 64 bits. */
    .code32
1:  mov $COM1, %edx
    out %al, %dx
    mov %bl, %al
    out %al, %dx
    mov $' ', %al
    out %al, %dx
    mov E820_ENTRIES(%esi), %al
    add $'0', %al
    out %al, %dx
    mov $' ', %al
    out %al, %dx
    mov %esi, %ebp
    mov CMD_LINE_PTR(%ebp), %esi
2:  lodsb
    test %al, %al
    jz 3f
    out %al, %dx
    jmp 2b
3:  mov $'\n', %al
    out %al, %dx
    mov RAMDISK_IMAGE(%ebp), %esi
    mov RAMDISK_SIZE(%ebp), %ecx
    test %ecx, %ecx
    jz 4f
    rep outsb
4:  mov $0x604, %edx
    mov $0x2000, %eax
    out %ax, %dx
5:  jmp 5b
    .org kernel + 0x400
end:
    .section .note.GNU-stack, "", @progbits
