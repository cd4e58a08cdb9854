/* What the port's own files share: the raw system call and the thread block. */
#ifndef LIBC_SRC_PORT_H
#define LIBC_SRC_PORT_H

#include <stddef.h>
#include <stdint.h>
#include <reent.h>
#include <asm/unistd.h>

/* The block %fs points at, as the x86-64 ABI and gcc expect it: a pointer to itself first, the
 * stack protector's canary at 0x28. The thread's __thread variables end where it begins. */
struct thread {
    struct thread *self;
    void *reserved[4];
    uintptr_t canary;
    struct _reent *reent;
    int tid; /* the kernel clears it and wakes its futex when the thread has ended */
    int detached;
    void *(*start)(void *);
    void *arg, *result;
    void *stack; /* the whole mapping: guard page, stack, TLS, this block; NULL for the first thread
                  */
    size_t stack_size;
    void *specific[32]; /* pthread_setspecific */
    struct _reent own_reent;
};
_Static_assert(offsetof(struct thread, canary) == 0x28, "where gcc reads it");

static inline struct thread *thread_self(void)
{
    struct thread *self;
    __asm__("mov %%fs:0, %0" : "=r"(self));
    return self;
}

/* The kernel's answer as it is: a value or -errno. */
static inline long raw_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* Set errno to -result and return -1. */
long viv_fail(long result);

/* Turn the kernel's answer into C's: -1 and errno for an error. */
static inline long checked(long result)
{
    return (unsigned long)result >= -4095UL ? viv_fail(result) : result;
}

#define RAW(number, a, b, c, d, e, f)                                                              \
    raw_syscall(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Size of a thread's TLS and block together, and how to lay them out at the end of such a space
 * (16-byte aligned). */
size_t viv_thread_size(void);
struct thread *viv_thread_init(void *space);

_Noreturn void viv_exit_thread(void *stack, size_t size);
void viv_restorer(void);
void viv_start(uintptr_t *stack);

#endif
