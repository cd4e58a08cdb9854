#include "kernel/syscall/deadline.h"
#include "kernel/lib/err.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/wait.h"
#include "kernel/x86/clock.h"

u64 deadline_ms(int timeout)
{
    if (timeout <= 0)
        return timeout ? WAIT_FOREVER : 0;
    return clock_ns() + timeout * NSEC_PER_MSEC;
}

int deadline_timespec(const void __user *timeout, u64 unit, u64 *deadline)
{
    s64 t[2];

    *deadline = WAIT_FOREVER;
    if (!timeout)
        return 0;
    if (copy_from_user(t, timeout, sizeof(t)))
        return -EFAULT;
    if (t[0] < 0 || t[1] < 0 || t[1] >= (s64)(NSEC_PER_SEC / unit))
        return -EINVAL;
    if (t[0] > 1L << 32)
        return 0;
    u64 ns = t[0] * NSEC_PER_SEC + t[1] * unit;
    *deadline = ns ? clock_ns() + ns : 0;
    return 0;
}

int deadline_write_back(void __user *timeout, u64 unit, u64 deadline)
{
    if (!timeout || deadline == WAIT_FOREVER)
        return 0;
    u64 now = clock_ns();
    u64 left = deadline > now ? deadline - now : 0;
    s64 t[2] = {left / NSEC_PER_SEC, left % NSEC_PER_SEC / unit};
    return copy_to_user(timeout, t, sizeof(t));
}
