/* The first instructions of a program. Linux gives it a stack and nothing else: argc, argv, envp and the auxiliary
 * vector lie at %rsp, which is 16-byte aligned (System V ABI, x86-64, 3.4.1). */
    .text
    .globl _start
    .type _start, @function
_start:
    xor %ebp, %ebp
    mov %rsp, %rdi
    and $-16, %rsp
    call viv_start
    hlt
    .size _start, . - _start
    .section .note.GNU-stack, "", @progbits
