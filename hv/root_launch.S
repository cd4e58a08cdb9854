// root_launch(rdi: what loop() gets, rsi: where RSP and RIP go, rdx: end of the hypervisor's stack, rcx: loop).

    .text
    .globl root_launch
root_launch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rsi)
    lea 1f(%rip), %rax
    mov %rax, 8(%rsi)
    mov %rdx, %rsp
    xor %ebp, %ebp
    call *%rcx

1:  // The first instruction of the root partition.
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .section .note.GNU-stack, "", @progbits
