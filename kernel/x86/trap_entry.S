// The ways into the kernel and out of it: interrupts and exceptions, SYSCALL, the switch of kernel
// stacks. Each way in leaves a struct trapframe (trap.h) on the kernel stack.
//
// GS rule: in the kernel GS base is this CPU's percpu, in user mode it is the user's; SWAPGS is done
// once on each crossing. Entries on IST stacks (NMI, #DB, #DF, #MC) can hit between a crossing and
// its SWAPGS, so they look at the base itself: the kernel's is negative, the user's never is.
#include "kernel/x86/stack.h"

#define PERCPU_KERNEL_RSP 8
#define PERCPU_USER_RSP 16
#define SEL_USER_DATA 0x23
#define SEL_USER_CODE 0x2b
#define VEC_SYSCALL 0x100
#define MSR_GS_BASE 0xc0000101
#define ENOSYS 38
// Offsets in struct trapframe; trap.c checks them.
#define TF_R11 48
#define TF_RCX 88
#define TF_VECTOR 120
#define TF_RIP 136
#define TF_CS 144
#define TF_RFLAGS 152
#define TF_RSP 160
#define TF_SS 168
#define RFLAGS_TF_RF 0x10100

.macro push_registers rax=%rax
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push \rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
.endm

.macro pop_registers
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
.endm

// An interrupt gate does not clear RFLAGS.AC, which lifts SMAP.
.macro smap_on
    cmpb $0, cpu_has_smap(%rip)
    je 99f
    clac
99:
.endm

    .text
// 256 entries of 16 bytes: error code (0 where the CPU pushes none), vector, then on.
    .align 16
    .global trap_stubs
trap_stubs:
    vector = 0
    .rept 256
    .align 16
    .if !((vector == 8) || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    push $0
    .endif
    push $vector
    .if vector == 1 || vector == 2 || vector == 8 || vector == 18
    jmp ist_entry
    .else
    jmp trap_entry
    .endif
    vector = vector + 1
    .endr

    .align 16
trap_entry:
    testb $3, 24(%rsp)
    jz 1f
    swapgs
    push_registers
    xor %ebp, %ebp                  // backtraces end here
    cld
    smap_on
    mov %rsp, %rdi
    call trap_handler
    jmp return_iret
1:  push_registers                  // RBP stays: backtraces go on into what was interrupted
    cld
    smap_on
    mov %rsp, %rdi
    call trap_handler
    pop_registers
    add $16, %rsp
    iretq

// From user mode: as any other trap, on the task's kernel stack. From the kernel: stays here.
    .align 16
ist_entry:
    testb $3, 24(%rsp)
    jz 1f
    swapgs
    push %rdi
    mov %rsp, %rdi                  // points at: rdi, vector, error, rip, cs, rflags, rsp, ss
    mov %gs:PERCPU_KERNEL_RSP, %rsp
    push 56(%rdi)
    push 48(%rdi)
    push 40(%rdi)
    push 32(%rdi)
    push 24(%rdi)
    push 16(%rdi)
    push 8(%rdi)
    mov (%rdi), %rdi
    push_registers
    cld
    smap_on
    mov %rsp, %rdi
    xor %ebp, %ebp
    call trap_handler
    jmp return_iret
1:  push_registers
    cld
    smap_on
    xor %ebx, %ebx
    mov $MSR_GS_BASE, %ecx
    rdmsr
    test %edx, %edx
    js 2f
    swapgs
    inc %ebx
2:  mov %rsp, %rdi
    xor %ebp, %ebp
    call trap_from_ist
    test %ebx, %ebx
    jz 3f
    swapgs
3:  pop_registers
    add $16, %rsp
    iretq

    .align 16
    .global syscall_entry
syscall_entry:
    swapgs
    mov %rsp, %gs:PERCPU_USER_RSP
    mov %gs:PERCPU_KERNEL_RSP, %rsp
    push $SEL_USER_DATA
    push %gs:PERCPU_USER_RSP
    push %r11
    push $SEL_USER_CODE
    push %rcx
    push %rax
    push $VEC_SYSCALL
    push_registers rax=$-ENOSYS
    mov %rsp, %rdi
    xor %ebp, %ebp
    call syscall_handler
    // SYSRET only for a frame that SYSCALL made and nobody moved, with a user address to go to:
    // with a non-canonical RCX it would fault in the kernel with the user's stack (SDM, SYSRET).
    mov TF_RCX(%rsp), %rcx
    mov TF_R11(%rsp), %r11
    cmp TF_RIP(%rsp), %rcx
    jne return_iret
    cmp TF_RFLAGS(%rsp), %r11
    jne return_iret
    mov %rcx, %rax
    shr $47, %rax
    jnz return_iret
    test $RFLAGS_TF_RF, %r11d
    jnz return_iret
    cmpq $SEL_USER_CODE, TF_CS(%rsp)
    jne return_iret
    pop_registers
    mov TF_RSP - TF_VECTOR(%rsp), %rsp
    swapgs
    sysretq

// To user mode with the frame at RSP. The kernel lock is dropped already.
return_iret:
    pop_registers
    add $16, %rsp
    swapgs
    iretq

// void return_frame(struct trapframe *tf)
    .global return_frame
return_frame:
    mov %rdi, %rsp
    jmp return_iret

// void context_switch(u64 *save, u64 load)
    .align 16
    .global context_switch
context_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret

// Where a new context begins (context_init): RBX = fn, R12 = arg.
    .global context_begin
context_begin:
    mov %r12, %rdi
    xor %ebp, %ebp
    call *%rbx
    ud2
