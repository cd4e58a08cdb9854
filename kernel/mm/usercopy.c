// Copies between the kernel and user memory: checks addresses, leaves the copying to usercopy.S.
#include "kernel/mm/usercopy.h"
#include "kernel/lib/err.h"
#include "kernel/x86/paging.h"

// usercopy.S
size_t user_copy(void *dst, const void *src, size_t n);
size_t user_clear(void *dst, size_t n);
long user_strncpy(char *dst, const char *src, size_t n);
int user_cmpxchg32(u32 *p, u32 *old, u32 new);

static bool user_range(const void __user *p, size_t n)
{
    return n <= USER_END && (u64)p <= USER_END - n;
}

size_t copy_from_user_partial(void *dst, const void __user *src, size_t n)
{
    return user_range(src, n) ? user_copy(dst, src, n) : n;
}

size_t copy_to_user_partial(void __user *dst, const void *src, size_t n)
{
    return user_range(dst, n) ? user_copy(dst, src, n) : n;
}

int copy_from_user(void *dst, const void __user *src, size_t n)
{
    return copy_from_user_partial(dst, src, n) ? -EFAULT : 0;
}

int copy_to_user(void __user *dst, const void *src, size_t n)
{
    return copy_to_user_partial(dst, src, n) ? -EFAULT : 0;
}

int clear_user(void __user *dst, size_t n)
{
    return user_range(dst, n) && user_clear(dst, n) == 0 ? 0 : -EFAULT;
}

long strncpy_from_user(char *dst, const char __user *src, size_t size)
{
    if ((u64)src >= USER_END)
        return -EFAULT;
    u64 room = USER_END - (u64)src;
    long n = user_strncpy(dst, src, min(size, room));
    if (n == (long)room && room < size)
        return -EFAULT;
    return n == (long)size ? -ENAMETOOLONG : n;
}

int cmpxchg_user(u32 __user *p, u32 *old, u32 new)
{
    return user_range(p, sizeof(*p)) ? user_cmpxchg32(p, old, new) : -EFAULT;
}
