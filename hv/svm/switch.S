// The world switch on AMD: svm_switch(rdi: guest VMCB, rsi: host VMCB, rdx: reg[16]). Physical addresses; reg in encoding order.
//
// With GIF clear nothing can arrive between here and the guest; with RFLAGS.IF set and V_INTR_MASKING a host interrupt
// causes #VMEXIT and stays pending until the caller sets IF again (APM 2, 15.21.1).

    .text
    .globl svm_switch
svm_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    push %rsi

    clgi
    sti
    mov %rdi, %rax
    mov 8(%rdx), %rcx
    mov 24(%rdx), %rbx
    mov 40(%rdx), %rbp
    mov 48(%rdx), %rsi
    mov 56(%rdx), %rdi
    mov 64(%rdx), %r8
    mov 72(%rdx), %r9
    mov 80(%rdx), %r10
    mov 88(%rdx), %r11
    mov 96(%rdx), %r12
    mov 104(%rdx), %r13
    mov 112(%rdx), %r14
    mov 120(%rdx), %r15
    mov 16(%rdx), %rdx
    vmload %rax
    vmrun %rax
    vmsave %rax

    mov 8(%rsp), %rax
    mov %rcx, 8(%rax)
    mov %rdx, 16(%rax)
    mov %rbx, 24(%rax)
    mov %rbp, 40(%rax)
    mov %rsi, 48(%rax)
    mov %rdi, 56(%rax)
    mov %r8, 64(%rax)
    mov %r9, 72(%rax)
    mov %r10, 80(%rax)
    mov %r11, 88(%rax)
    mov %r12, 96(%rax)
    mov %r13, 104(%rax)
    mov %r14, 112(%rax)
    mov %r15, 120(%rax)
    pop %rax
    vmload %rax
    pop %rdx
    cli
    stgi

    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .section .note.GNU-stack, "", @progbits
