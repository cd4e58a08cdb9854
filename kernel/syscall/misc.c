// Calls of no family: getrandom, reboot, syslog.

#include <linux/errno.h>
#include <linux/random.h>
#include <linux/reboot.h>

#include "kernel/x86/random.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/cred.h"
#include "kernel/task/pid.h"
#include "kernel/task/sched.h"
#include "kernel/task/signal.h"
#include "kernel/x86/log.h"
#include "kernel/x86/power.h"

long sys_getrandom(void *buf, size_t count, u32 flags)
{
    u8 chunk[256];
    size_t done = 0;

    if (flags & ~(u32)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    if (count > 0x7ffff000)
        count = 0x7ffff000;
    while (done < count) {
        size_t n = min(count - done, sizeof(chunk));
        random_bytes(chunk, n);
        if (copy_to_user((char __user *)buf + done, chunk, n))
            return done ? (long)done : -EFAULT;
        done += n;
        cond_resched();
    }
    return done;
}

// In a pid namespace of its own a caller ends the namespace's init, whose parent sees why:
// reboot(2).
static long reboot_namespace(struct pid_ns *ns, u32 cmd)
{
    int sig = cmd == LINUX_REBOOT_CMD_RESTART ? SIGHUP : SIGINT;

    if (cmd != LINUX_REBOOT_CMD_RESTART && cmd != LINUX_REBOOT_CMD_HALT &&
        cmd != LINUX_REBOOT_CMD_POWER_OFF)
        return -EINVAL;
    if (ns->init)
        signal_end_process(ns->init, sig);
    return 0;
}

long sys_reboot(int magic1, int magic2, u32 cmd, void *arg)
{
    bool known = magic2 == LINUX_REBOOT_MAGIC2 || magic2 == LINUX_REBOOT_MAGIC2A ||
                 magic2 == LINUX_REBOOT_MAGIC2B || magic2 == LINUX_REBOOT_MAGIC2C;

    struct pid_ns *ns = current_pid_ns();

    if (!ns_capable(ns->ns.owner, CAP_SYS_BOOT))
        return -EPERM;
    if ((u32)magic1 != LINUX_REBOOT_MAGIC1 || !known)
        return -EINVAL;
    if (ns != &init_pid_ns)
        return reboot_namespace(ns, cmd);
    switch (cmd) {
    case LINUX_REBOOT_CMD_POWER_OFF:
    case LINUX_REBOOT_CMD_HALT:
        power_off(0);
    case LINUX_REBOOT_CMD_RESTART:
        machine_reboot();
    case LINUX_REBOOT_CMD_CAD_ON:
    case LINUX_REBOOT_CMD_CAD_OFF:
        return 0;
    default:
        return -EINVAL;
    }
}

#define LOG_SIZE 65536 // most that one call gives

// syslog(2): 2-4 read, 10 the size; what sets levels for a console is accepted.
long sys_syslog(int type, char *buf, int len)
{
    static u64 cleared;

    if (type == 10)
        return LOG_SIZE;
    if (type == 5) {
        char drop[256];
        while (log_read(&cleared, drop, sizeof(drop)))
            ;
        return 0;
    }
    if (type < 2 || type > 4)
        return type >= 0 && type <= 9 ? 0 : -EINVAL;
    if (!buf || len < 0)
        return -EINVAL;
    u64 pos = cleared;
    size_t size = min((size_t)len, (size_t)LOG_SIZE), done = 0, n;
    char chunk[256];
    while (done < size && (n = log_read(&pos, chunk, min(size - done, sizeof(chunk))))) {
        if (copy_to_user((char __user *)buf + done, chunk, n))
            return -EFAULT;
        done += n;
    }
    if (type == 4)
        cleared = pos;
    return done;
}
