// System calls about processes: making, ending and waiting for them, their numbers, groups and
// sessions.

#include <asm/prctl.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include "container/cgroup/cgroup.h"
#include "container/cgroupfs/cgroupfs.h"
#include "container/ns/ns.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/futex.h"
#include "kernel/task/task.h"
#include "kernel/task/wait4.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/paging.h"

long sys_clone(u64 flags, u64 stack, int *parent_tid, int *child_tid, u64 tls)
{
    struct clone_args_k args = {
        .flags = (u32)flags & ~CSIGNAL,
        .exit_signal = flags & CSIGNAL,
        .stack = stack,
        .parent_tid = parent_tid,
        .child_tid = child_tid,
        .tls = tls,
    };

    return task_clone(&args);
}

long sys_fork(void)
{
    struct clone_args_k args = {.exit_signal = SIGCHLD};

    return task_clone(&args);
}

long sys_vfork(void)
{
    struct clone_args_k args = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};

    return task_clone(&args);
}

// A larger structure than ours is fine as long as what we do not know is zero.
static int read_clone_args(struct clone_args *ca, const char __user *from, size_t size)
{
    char more;

    if (size < CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    memset(ca, 0, sizeof(*ca));
    if (copy_from_user(ca, from, min(size, sizeof(*ca))))
        return -EFAULT;
    for (size_t i = sizeof(*ca); i < size; i++) {
        if (get_user(more, from + i))
            return -EFAULT;
        if (more)
            return -E2BIG;
    }
    return 0;
}

long sys_clone3(void *uargs, size_t size)
{
    struct clone_args ca;
    int err = read_clone_args(&ca, uargs, size);

    if (err)
        return err;
    if ((ca.flags & CSIGNAL) || ca.exit_signal > NSIG_K || ca.set_tid_size ||
        (!!ca.stack != !!ca.stack_size))
        return -EINVAL;
    if ((ca.flags & (CLONE_THREAD | CLONE_PARENT)) && ca.exit_signal)
        return -EINVAL;
    struct clone_args_k args = {
        .flags = ca.flags & ~CLONE_INTO_CGROUP,
        .exit_signal = ca.exit_signal,
        .stack = ca.stack ? ca.stack + ca.stack_size : 0,
        .parent_tid = (int __user *)ca.parent_tid,
        .child_tid = (int __user *)ca.child_tid,
        .tls = ca.tls,
    };
    if (ca.flags & CLONE_INTO_CGROUP) {
        args.cgroup = cgroup_from_fd(ca.cgroup);
        if (IS_ERR(args.cgroup))
            return PTR_ERR(args.cgroup);
    }
    long nr = task_clone(&args);
    if (args.cgroup)
        cgroup_put(args.cgroup);
    return nr;
}

long sys_exit(int status)
{
    task_exit((status & 0xff) << 8);
}

long sys_exit_group(int status)
{
    process_exit((status & 0xff) << 8);
}

long sys_wait4(int pid, int *wstatus, int options, void *rusage)
{
    struct wait_request req = {.which = P_ALL};
    struct wait_result res;

    if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    req.options = options | WEXITED;
    if (pid > 0) {
        req.which = P_PID;
        req.id = pid;
    } else if (pid != -1) {
        req.which = P_PGID;
        req.id = -pid;
    }
    int err = wait_for_child(&req, &res);
    if (err || !res.pid)
        return err;
    if (wstatus && put_user(res.status, wstatus))
        return -EFAULT;
    if (rusage && copy_to_user(rusage, &res.usage, sizeof(res.usage)))
        return -EFAULT;
    return res.pid;
}

long sys_waitid(int which, int id, void *info, int options, void *rusage)
{
    struct wait_request req = {.which = which, .id = id, .options = options};
    struct wait_result res;
    siginfo_t si;

    if (options &
        ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
        return -EINVAL;
    if (!(options & (WEXITED | WSTOPPED | WCONTINUED)) || which < P_ALL || which > P_PGID)
        return -EINVAL;
    if ((which == P_PID && id <= 0) || (which == P_PGID && id < 0))
        return -EINVAL;
    int err = wait_for_child(&req, &res);
    if (err)
        return err;
    memset(&si, 0, sizeof(si));
    if (res.pid) {
        si.si_signo = SIGCHLD;
        si.si_code = res.code;
        si.si_pid = res.pid;
        si.si_uid = res.uid;
        si.si_status = res.code == CLD_EXITED      ? res.status >> 8 & 0xff
                       : res.code == CLD_STOPPED   ? res.status >> 8
                       : res.code == CLD_CONTINUED ? SIGCONT
                                                   : res.status & 0x7f;
    }
    if (rusage && res.pid && copy_to_user(rusage, &res.usage, sizeof(res.usage)))
        return -EFAULT;
    return info && copy_to_user(info, &si, sizeof(si)) ? -EFAULT : 0;
}

long sys_getpid(void)
{
    return pid_nr(current()->process->pid, current_pid_ns());
}

long sys_gettid(void)
{
    return pid_nr(current()->pid, current_pid_ns());
}

long sys_getppid(void)
{
    return process_ppid(current()->process, current_pid_ns());
}

long sys_setpgid(int pid, int pgid)
{
    return task_setpgid(pid, pgid);
}

long sys_getpgid(int pid)
{
    struct process *p = pid ? process_find(pid) : current()->process;

    return p ? pid_nr(p->pgrp->pid, current_pid_ns()) : -ESRCH;
}

long sys_getpgrp(void)
{
    return sys_getpgid(0);
}

long sys_setsid(void)
{
    return task_setsid();
}

long sys_getsid(int pid)
{
    struct process *p = pid ? process_find(pid) : current()->process;

    return p ? pid_nr(p->pgrp->session->pid, current_pid_ns()) : -ESRCH;
}

// Only Linux's own personality, without any of its quirks; 0xffffffff asks which.
long sys_personality(u32 persona)
{
    return persona == 0 || persona == UINT32_MAX ? 0 : -EINVAL;
}

long sys_set_tid_address(int *tidptr)
{
    current()->clear_child_tid = tidptr;
    return sys_gettid();
}

long sys_set_robust_list(void *head, size_t len)
{
    if (len != 3 * sizeof(u64))
        return -EINVAL;
    current()->robust_list = head;
    return 0;
}

long sys_get_robust_list(int pid, u64 *head, size_t *len)
{
    struct task *t = pid ? task_find(pid) : current();

    if (!t)
        return -ESRCH;
    if (t->process != current()->process && !capable(CAP_SYS_PTRACE))
        return -EPERM;
    if (put_user(3 * sizeof(u64), len) || put_user((u64)t->robust_list, head))
        return -EFAULT;
    return 0;
}

long sys_futex(u32 *uaddr, int op, u32 val, u64 timeout_or_val2, u32 *uaddr2, u32 val3)
{
    return futex_op(uaddr, op, val, timeout_or_val2, uaddr2, val3);
}

long sys_arch_prctl(int code, u64 addr)
{
    struct task *t = current();

    switch (code) {
    case ARCH_SET_FS:
        if (addr >= USER_END)
            return -EPERM;
        t->fs_base = addr;
        wrmsr(MSR_FS_BASE, addr);
        return 0;
    case ARCH_SET_GS:
        if (addr >= USER_END)
            return -EPERM;
        t->gs_base = addr;
        wrmsr(MSR_KERNEL_GS_BASE, addr);
        return 0;
    case ARCH_GET_FS:
        return put_user(t->fs_base, (u64 __user *)addr);
    case ARCH_GET_GS:
        return put_user(t->gs_base, (u64 __user *)addr);
    default:
        return -EINVAL;
    }
}
