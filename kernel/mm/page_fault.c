// The page-fault exception: whose fault it is, and what becomes of it when it cannot be served.
#include <asm/siginfo.h>
#include <asm/signal.h>
#include "kernel/lib/err.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/hooks.h"
#include "kernel/x86/log.h"
#include "kernel/x86/trap.h"

#define OOM_RETRIES 1000 // others get the CPU so often before the fault gives up

const struct mm_task_ops *mm_task_ops;

// Serves a fault of the current task. Out of memory: lets those that were killed end, and tries
// again until it is killed itself. 0 or the error of aspace_fault(). May sleep.
static int serve(struct aspace *as, vaddr_t va, u32 pf_flags)
{
    int err = aspace_fault(as, va, pf_flags);
    for (int i = 0; err == -ENOMEM && i < OOM_RETRIES && !mm_task_ops->dying(); i++) {
        mm_task_ops->yield();
        err = aspace_fault(as, va, pf_flags);
    }
    return err;
}

// The kernel may touch user memory only where it has prepared for a fault.
static void fault_in_kernel(struct trapframe *tf, struct aspace *as, u64 addr)
{
    u64 rip = tf->rip;
    if (!trap_fixup(tf))
        trap_die(tf);
    if (as && serve(as, addr, tf->error) == 0)
        tf->rip = rip;
}

static void fault_in_user(struct trapframe *tf, struct aspace *as, u64 addr)
{
    // Without PF_USER it was the CPU itself on the program's behalf: QEMU reads the stack of a far
    // return so, and SMAP forbids that. No page served would change it.
    bool served = addr < USER_END && (tf->error & PF_USER);
    int err = served ? serve(as, addr, tf->error) : -EFAULT;
    if (err == -EFAULT)
        mm_task_ops->fault_signal(SIGSEGV, aspace_find(as, addr) ? SEGV_ACCERR : SEGV_MAPERR, addr);
    else if (err == -ENOMEM && !mm_task_ops->dying())
        mm_task_ops->fault_signal(SIGKILL, SI_KERNEL, 0);
    else if (err && err != -ENOMEM)
        mm_task_ops->fault_signal(SIGBUS, BUS_ADRERR, addr);
}

void page_fault(struct trapframe *tf, u64 addr)
{
    struct aspace *as = mm_task_ops ? mm_task_ops->current_aspace() : NULL;
    if (!from_user(tf)) {
        fault_in_kernel(tf, addr < USER_END ? as : NULL, addr);
        return;
    }
    assert(as);
    fault_in_user(tf, as, addr);
}
