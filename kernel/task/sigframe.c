// Signal frames. From the top of the stack: the red zone, the FPU state in XSAVE format with
// Linux's markers in its software bytes, then struct rt_sigframe: return address, ucontext,
// siginfo.

#include "kernel/task/sigframe.h"
#include <asm/sigcontext.h>
#include <linux/signal.h>
#include <asm-generic/ucontext.h>
#include <asm/ucontext.h>
#include <linux/errno.h>
#include "kernel/lib/string.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/task_internal.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/paging.h"

#define RED_ZONE 128
#define FXSAVE_SIZE 512
// What a program may change in RFLAGS: CF PF AF ZF SF TF DF OF NT(no) RF AC.
#define USER_RFLAGS 0x50dd5UL

struct rt_sigframe {
    u64 return_address;
    struct ucontext uc;
    siginfo_t info;
};
static_assert(offsetof(struct rt_sigframe, uc) == 8 && sizeof(struct ucontext) == 304,
              "the ABI's frame");
static_assert(offsetof(struct rt_sigframe, info) == 312 && sizeof(siginfo_t) == 128,
              "the ABI's frame");
static_assert(offsetof(struct ucontext, uc_mcontext) == 40, "the ABI's frame");

bool on_altstack(u64 sp)
{
    struct task *t = current();

    return t->altstack_size && !(t->altstack_flags & SS_AUTODISARM) &&
           sp - t->altstack_sp - 1 < t->altstack_size;
}

static void fill_registers(struct sigcontext *sc, const struct trapframe *tf)
{
    struct task *t = current();

    sc->r8 = tf->r8;
    sc->r9 = tf->r9;
    sc->r10 = tf->r10;
    sc->r11 = tf->r11;
    sc->r12 = tf->r12;
    sc->r13 = tf->r13;
    sc->r14 = tf->r14;
    sc->r15 = tf->r15;
    sc->rdi = tf->rdi;
    sc->rsi = tf->rsi;
    sc->rbp = tf->rbp;
    sc->rbx = tf->rbx;
    sc->rdx = tf->rdx;
    sc->rax = tf->rax;
    sc->rcx = tf->rcx;
    sc->rsp = tf->rsp;
    sc->rip = tf->rip;
    sc->eflags = tf->rflags;
    sc->cs = SEL_USER_CODE;
    sc->ss = SEL_USER_DATA;
    sc->err = t->trap_error;
    sc->trapno = t->trap_nr;
    sc->cr2 = t->trap_addr;
}

static void take_registers(struct trapframe *tf, const struct sigcontext *sc)
{
    tf->r8 = sc->r8;
    tf->r9 = sc->r9;
    tf->r10 = sc->r10;
    tf->r11 = sc->r11;
    tf->r12 = sc->r12;
    tf->r13 = sc->r13;
    tf->r14 = sc->r14;
    tf->r15 = sc->r15;
    tf->rdi = sc->rdi;
    tf->rsi = sc->rsi;
    tf->rbp = sc->rbp;
    tf->rbx = sc->rbx;
    tf->rdx = sc->rdx;
    tf->rax = sc->rax;
    tf->rcx = sc->rcx;
    tf->rsp = sc->rsp;
    tf->rip = sc->rip;
    tf->rflags =
        (tf->rflags & ~USER_RFLAGS) | (sc->eflags & USER_RFLAGS) | RFLAGS_IF | RFLAGS_FIXED;
    tf->cs = SEL_USER_CODE;
    tf->ss = SEL_USER_DATA;
    tf->vector = 0; // not a system call any more: rcx and r11 are the frame's
    tf->error = -1;
}

// Bytes of the FPU part of the frame: with the end marker when it is XSAVE's.
static size_t fpu_frame_size(void)
{
    return fpu_state_size() + (fpu_xcr0() ? FP_XSTATE_MAGIC2_SIZE : 0);
}

static int push_fpu(u64 at)
{
    struct task *t = current();
    size_t size = fpu_state_size();
    u32 end_marker = FP_XSTATE_MAGIC2;
    struct _fpx_sw_bytes *sw = (void *)(t->fpu->bytes + offsetof(struct _fpstate, sw_reserved));

    fpu_save(t->fpu);
    memset(sw, 0, sizeof(*sw));
    if (fpu_xcr0()) {
        sw->magic1 = FP_XSTATE_MAGIC1;
        sw->extended_size = fpu_frame_size();
        sw->xfeatures = fpu_xcr0();
        sw->xstate_size = size;
    }
    if (copy_to_user((void __user *)at, t->fpu->bytes, size))
        return -EFAULT;
    return fpu_xcr0() ? copy_to_user((void __user *)(at + size), &end_marker, sizeof(end_marker))
                      : 0;
}

static int pop_fpu(u64 at)
{
    struct task *t = current();
    struct _fpx_sw_bytes *sw = (void *)(t->fpu->bytes + offsetof(struct _fpstate, sw_reserved));
    size_t size = fpu_state_size();

    if (!at) {
        fpu_state_init(t->fpu);
        fpu_restore(t->fpu);
        return 0;
    }
    fpu_state_init(t->fpu);
    if (copy_from_user(t->fpu->bytes, (void __user *)at, FXSAVE_SIZE))
        goto bad;
    // Without the marker the frame holds only what FXSAVE knows: x87 and SSE.
    bool whole = fpu_xcr0() && sw->magic1 == FP_XSTATE_MAGIC1 && sw->xstate_size <= size;
    if (whole && copy_from_user(t->fpu->bytes, (void __user *)at, size))
        goto bad;
    if (!whole && fpu_xcr0())
        *(u64 *)(t->fpu->bytes + FXSAVE_SIZE) = 3;
    if (!fpu_validate(t->fpu))
        goto bad;
    fpu_restore(t->fpu);
    return 0;
bad:
    fpu_state_init(t->fpu);
    fpu_restore(t->fpu);
    return -EFAULT;
}

// Where the frame goes: below the red zone, or on the alternate stack.
static u64 frame_stack(const struct trapframe *tf, const struct ksigaction *act)
{
    struct task *t = current();

    if ((act->flags & SA_ONSTACK) && t->altstack_size && !on_altstack(tf->rsp))
        return t->altstack_sp + t->altstack_size;
    return tf->rsp - RED_ZONE;
}

int sigframe_push(struct trapframe *tf, int sig, const siginfo_t *info,
                  const struct ksigaction *act, u64 old_mask)
{
    struct task *t = current();
    struct rt_sigframe f;
    u64 sp = frame_stack(tf, act);
    u64 fpu_at = ALIGN_DOWN(sp - fpu_frame_size(), 64);
    u64 at = ALIGN_DOWN(fpu_at - sizeof(f), 16) - 8; // as after a call: rsp + 8 is a multiple of 16

    if (!(act->flags & SA_RESTORER))
        return -EFAULT; // the x86-64 ABI has no other way back
    if (on_altstack(tf->rsp) && !on_altstack(at))
        return -EFAULT;
    memset(&f, 0, sizeof(f));
    f.return_address = act->restorer;
    f.uc.uc_flags = (fpu_xcr0() ? UC_FP_XSTATE : 0) | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    f.uc.uc_stack.ss_sp = (void *)t->altstack_sp;
    f.uc.uc_stack.ss_size = t->altstack_size;
    f.uc.uc_stack.ss_flags = t->altstack_size ? (int)t->altstack_flags : SS_DISABLE;
    fill_registers(&f.uc.uc_mcontext, tf);
    f.uc.uc_mcontext.fpstate = (void *)fpu_at;
    memcpy(&f.uc.uc_sigmask, &old_mask, sizeof(old_mask));
    f.uc.uc_mcontext.oldmask = old_mask;
    f.info = *info;
    if (push_fpu(fpu_at) || copy_to_user((void __user *)at, &f, sizeof(f)))
        return -EFAULT;
    if (t->altstack_flags & SS_AUTODISARM)
        t->altstack_sp = t->altstack_size = t->altstack_flags = 0;
    tf->rdi = sig;
    tf->rsi = at + offsetof(struct rt_sigframe, info);
    tf->rdx = at + offsetof(struct rt_sigframe, uc);
    tf->rax = 0;
    tf->rip = act->handler;
    tf->rsp = at;
    tf->cs = SEL_USER_CODE;
    tf->ss = SEL_USER_DATA;
    tf->rflags &= ~(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
    tf->vector = 0;
    tf->error = -1;
    return 0;
}

int sigframe_pop(struct trapframe *tf)
{
    struct task *t = current();
    struct ucontext uc;
    u64 mask;

    // The handler's RET has taken the return address off.
    u64 at = tf->rsp - 8 + offsetof(struct rt_sigframe, uc);
    if (copy_from_user(&uc, (void __user *)at, sizeof(uc)))
        return -EFAULT;
    memcpy(&mask, &uc.uc_sigmask, sizeof(mask));
    signal_set_blocked(mask);
    take_registers(tf, &uc.uc_mcontext);
    if (uc.uc_stack.ss_flags & SS_DISABLE) {
        t->altstack_sp = t->altstack_size = 0;
    } else if (!on_altstack(tf->rsp)) {
        t->altstack_sp = (u64)uc.uc_stack.ss_sp;
        t->altstack_size = uc.uc_stack.ss_size;
        t->altstack_flags = uc.uc_stack.ss_flags & SS_AUTODISARM;
    }
    if (tf->rip >= USER_END)
        return -EFAULT;
    return pop_fpu((u64)uc.uc_mcontext.fpstate);
}
