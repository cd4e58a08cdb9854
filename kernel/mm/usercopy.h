// Copies between the kernel and the current address space. Each returns 0, or -EFAULT when any byte
// is not accessible (what lies before it may have been copied). May sleep (page faults). Addresses
// from USER_END on always fail. SMAP stays on but for the copy itself.
#pragma once
#include "kernel/lib/types.h"

int copy_from_user(void *dst, const void __user *src, size_t n);
int copy_to_user(void __user *dst, const void *src, size_t n);
int clear_user(void __user *dst, size_t n);
// As copy_*_user, and says how many bytes were NOT copied, for read(2)/write(2) that end short.
size_t copy_from_user_partial(void *dst, const void __user *src, size_t n);
size_t copy_to_user_partial(void __user *dst, const void *src, size_t n);
// Copies a string with its terminator: its length, -EFAULT, or -ENAMETOOLONG if there is no
// terminator in `size` bytes.
long strncpy_from_user(char *dst, const char __user *src, size_t size);
// Atomically: if *p == *old stores `new` there, else loads *old from it. 0 or -EFAULT. For futexes.
int cmpxchg_user(u32 __user *p, u32 *old, u32 new);

#define get_user(x, p) copy_from_user(&(x), (p), sizeof(x))
#define put_user(x, p) copy_to_user((p), &(typeof(*(p))){(x)}, sizeof(*(p)))
