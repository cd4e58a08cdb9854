// Stand-ins for the upcalls of trap.h, for a kernel without the floors above.
#include "kernel/x86/log.h"
#include "kernel/x86/trap.h"

__attribute__((weak)) void syscall_dispatch(struct trapframe *tf)
{
    panic_frame(tf, "system call %lu and no system calls", tf->error);
}

__attribute__((weak)) void page_fault(struct trapframe *tf, u64 addr)
{
    if (from_user(tf) || !trap_fixup(tf))
        trap_die(tf);
}

__attribute__((weak)) void user_exception(struct trapframe *tf)
{
    panic_frame(tf, "exception %lu in user mode and no signals", tf->vector);
}

__attribute__((weak)) void timer_tick(void)
{
}

__attribute__((weak)) void return_to_user(struct trapframe *tf)
{
}

__attribute__((weak)) void *exec_open;

int exec_kernel(const char *path, const char *const argv[], const char *const envp[]);
__attribute__((weak)) int exec_kernel(const char *path, const char *const argv[],
                                      const char *const envp[])
{
    return -38;
}
