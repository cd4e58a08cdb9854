/*
 * Between the monitor and translated code. In translated code the guest's registers are the host's,
 * ESP too, so nothing there may use the stack; R15 is the struct cpu, R12 the guest's memory,
 * R13 the table of indirect jumps. R8-R11 and R14 are scratch.
 */
#define EIP 32
#define EFLAGS 36
#define WHY 40
#define HOST_RSP 72
#define JUMPS 80
#define GUEST_BASE 0x100000000000
#define FLAGS_IN_HOST 0xcd5

    .text
    /* uint32_t enter(struct cpu *c, void *code) */
    .globl enter
enter:
    .irp r, rbx, rbp, r12, r13, r14, r15
    push %\r
    .endr
    mov %rdi, %r15
    mov %rsi, %r14
    mov %rsp, HOST_RSP(%r15)
    mov JUMPS(%r15), %r13
    movabs $GUEST_BASE, %r12
    mov EFLAGS(%r15), %eax
    and $FLAGS_IN_HOST, %eax
    push %rax
    popfq
    offset = 0
    .irp r, eax, ecx, edx, ebx, esp, ebp, esi, edi
    mov offset(%r15), %\r
    offset = offset + 4
    .endr
    jmp *%r14

    /* Translated code jumps here to leave, with WHY and EIP set. */
    .globl enter_leave
enter_leave:
    offset = 0
    .irp r, eax, ecx, edx, ebx, esp, ebp, esi, edi
    mov %\r, offset(%r15)
    offset = offset + 4
    .endr
    mov HOST_RSP(%r15), %rsp
    pushfq
    pop %rax
    and $FLAGS_IN_HOST, %eax
    andl $~FLAGS_IN_HOST, EFLAGS(%r15)
    or %eax, EFLAGS(%r15)

    /* The signal handler returns to here: the guest's state is in struct cpu already. */
    .globl enter_return
enter_return:
    mov HOST_RSP(%r15), %rsp
    cld
    mov WHY(%r15), %eax
    .irp r, r15, r14, r13, r12, rbp, rbx
    pop %\r
    .endr
    ret

    /* An indirect jump to the guest's address in R14. Nothing here changes a flag: the difference of
     * the addresses is computed by LEA and tested by JRCXZ. */
    .globl enter_lookup
enter_lookup:
    movzwl %r14w, %r11d
    lea (%r11,%r11), %r11
    lea (%r13,%r11,8), %r11
    mov %rcx, %r10
    mov (%r11), %ecx
    lea 1(%rcx,%r14), %ecx
    jrcxz 1f
    mov %r10, %rcx
    mov %r14d, EIP(%r15)
    movl $0, WHY(%r15)          /* LEFT_UNCHAINED */
    jmp enter_leave
1:  mov %r10, %rcx
    jmp *8(%r11)

    .section .note.GNU-stack, "", @progbits
