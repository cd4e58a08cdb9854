// The instructions that touch user memory, each with its place in the exception table: a fault that
// cannot be served goes on at the fixup. Arguments are in rdi, rsi, rdx (System V ABI), checked by
// usercopy.c. SMAP is lifted for just these instructions, where the CPU has it.
#include "kernel/x86/extable.h"

        .macro  ACCESS_BEGIN
        cmpb    $0, cpu_has_smap(%rip)
        je      .Lbegin\@
        stac
.Lbegin\@:
        .endm

        .macro  ACCESS_END
        cmpb    $0, cpu_has_smap(%rip)
        je      .Lend\@
        clac
.Lend\@:
        .endm

        .text

// size_t user_copy(void *dst, const void *src, size_t n): how many bytes were not copied.
        .globl  user_copy
user_copy:
        ACCESS_BEGIN
        mov     %rdx, %rcx
        shr     $3, %rcx
1:      rep movsq
        mov     %edx, %ecx
        and     $7, %ecx
2:      rep movsb
3:      mov     %rcx, %rax
        ACCESS_END
        ret
4:      and     $7, %edx                // the rest again byte by byte, up to the very end of the page
        lea     (%rdx, %rcx, 8), %rcx
        jmp     2b
        EX_TABLE(1b, 4b)
        EX_TABLE(2b, 3b)

// size_t user_clear(void *dst, size_t n): how many bytes were not cleared.
        .globl  user_clear
user_clear:
        ACCESS_BEGIN
        xor     %eax, %eax
        mov     %rsi, %rcx
        shr     $3, %rcx
1:      rep stosq
        mov     %esi, %ecx
        and     $7, %ecx
2:      rep stosb
3:      mov     %rcx, %rax
        ACCESS_END
        ret
4:      and     $7, %esi
        lea     (%rsi, %rcx, 8), %rcx
        jmp     2b
        EX_TABLE(1b, 4b)
        EX_TABLE(2b, 3b)

// long user_strncpy(char *dst, const char *src, size_t n): copies up to n bytes, to the terminator
// at most: the length without the terminator, n if there was none, -EFAULT (-14).
        .globl  user_strncpy
user_strncpy:
        ACCESS_BEGIN
        xor     %eax, %eax
1:      cmp     %rdx, %rax
        je      3f
2:      movb    (%rsi, %rax), %cl
        movb    %cl, (%rdi, %rax)
        testb   %cl, %cl
        je      3f
        inc     %rax
        jmp     1b
3:      ACCESS_END
        ret
4:      mov     $-14, %rax
        jmp     3b
        EX_TABLE(2b, 4b)

// int user_cmpxchg32(u32 *p, u32 *old, u32 new): if *p == *old stores new there, else loads *old
// from it, atomically. 0 or -EFAULT.
        .globl  user_cmpxchg32
user_cmpxchg32:
        ACCESS_BEGIN
        mov     (%rsi), %eax
1:      lock cmpxchg %edx, (%rdi)
        mov     %eax, (%rsi)
        xor     %eax, %eax
2:      ACCESS_END
        ret
3:      mov     $-14, %eax
        jmp     2b
        EX_TABLE(1b, 3b)

        .section .note.GNU-stack, "", @progbits
