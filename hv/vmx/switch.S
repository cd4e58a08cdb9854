// The world switch on Intel: bool vmx_switch(rdi: reg[16], sil: launched). reg in encoding order; RSP and RIP are the VMCS's.
// A VM exit loads the host's RSP and RIP from the VMCS and arrives at vmx_exit_entry with the guest's general registers.

#define VMCS_HOST_RSP 0x6c14

    .text
    .globl vmx_switch, vmx_exit_entry
vmx_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi
    mov $VMCS_HOST_RSP, %eax
    vmwrite %rsp, %rax

    test %sil, %sil
    mov 0(%rdi), %rax
    mov 8(%rdi), %rcx
    mov 16(%rdi), %rdx
    mov 24(%rdi), %rbx
    mov 40(%rdi), %rbp
    mov 48(%rdi), %rsi
    mov 64(%rdi), %r8
    mov 72(%rdi), %r9
    mov 80(%rdi), %r10
    mov 88(%rdi), %r11
    mov 96(%rdi), %r12
    mov 104(%rdi), %r13
    mov 112(%rdi), %r14
    mov 120(%rdi), %r15
    mov 56(%rdi), %rdi
    jnz 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  // VMfail: the registers are the guest's and stay as they were.
    pop %rdi
    mov $1, %eax
    jmp 3f

vmx_exit_entry:
    push %rdi
    mov 8(%rsp), %rdi
    mov %rax, 0(%rdi)
    mov %rcx, 8(%rdi)
    mov %rdx, 16(%rdi)
    mov %rbx, 24(%rdi)
    mov %rbp, 40(%rdi)
    mov %rsi, 48(%rdi)
    mov %r8, 64(%rdi)
    mov %r9, 72(%rdi)
    mov %r10, 80(%rdi)
    mov %r11, 88(%rdi)
    mov %r12, 96(%rdi)
    mov %r13, 104(%rdi)
    mov %r14, 112(%rdi)
    mov %r15, 120(%rdi)
    pop 56(%rdi)
    pop %rdi
    xor %eax, %eax
3:
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .section .note.GNU-stack, "", @progbits
