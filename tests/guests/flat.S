/* A kernel that is no ELF file: the Multiboot header's own load addresses. In 32-bit mode it says so and switches the machine off. */
#define MAGIC 0x1badb002
#define FLAGS 0x10000

    .text
    .code32
    .globl _start
base:
    .long 0                     /* the header need not be at the file's start */
header:
    .long MAGIC, FLAGS, -(MAGIC + FLAGS)
    .long header, base, loaded_end, bss_end, _start
_start:
    mov $text, %esi
    mov $text_end - text, %ecx
    mov $0x3f8, %edx
    rep outsb
    cmpl $0, bss                /* the loader must have cleared it */
    jne 1f
    mov $0x604, %edx
    mov $0x2000, %eax
    out %ax, %dx
1:  mov $3, %al
    out %al, $0xf4
2:  cli
    hlt
    jmp 2b
text:
    .ascii "flat kernel\n"
text_end:
    .balign 4
loaded_end:
    .bss
bss:    .skip 4096
bss_end:
    .section .note.GNU-stack, "", @progbits
