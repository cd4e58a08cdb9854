/* Signals: Linux's numbers and structures, in place of newlib's own. */
#ifndef _SIGNAL_H_
#define _SIGNAL_H_
#define _SYS_SIGNAL_H

#include <sys/types.h>
#include <sys/_sigset.h>
#include <sys/_timespec.h>
#ifndef _SIGSET_T_DECLARED
#define _SIGSET_T_DECLARED
#endif

/* The kernel's struct sigaction lacks sa_sigaction, and its sizes count less than the library
 * needs. */
#define sigaction viv_uapi_sigaction
#include <asm/signal.h>
#undef sigaction
#undef NSIG
#undef SIGRTMAX
#include <asm/siginfo.h>
#include <asm/sigcontext.h>

#define NSIG 65
#define _NSIG 65
#define SIGRTMAX 64
#define SIGCLD SIGCHLD

typedef void (*_sig_func_ptr)(int);
typedef _sig_func_ptr sighandler_t;
typedef _sig_func_ptr sig_t;
typedef int sig_atomic_t;

#define SIG_ERR ((_sig_func_ptr)-1)

struct sigaction {
    union {
        void (*sa_handler)(int);
        void (*sa_sigaction)(int, siginfo_t *, void *);
    };
    unsigned long sa_flags;
    void (*sa_restorer)(void); /* filled by sigaction() */
    sigset_t sa_mask;
};
_Static_assert(sizeof(struct sigaction) == sizeof(struct viv_uapi_sigaction), "the kernel's");

/* The third argument of an SA_SIGINFO handler: the machine at the moment of the signal. */
typedef struct sigcontext mcontext_t;
typedef struct viv_ucontext {
    unsigned long uc_flags;
    struct viv_ucontext *uc_link;
    stack_t uc_stack;
    mcontext_t uc_mcontext;
    sigset_t uc_sigmask;
} ucontext_t;

_sig_func_ptr signal(int sig, _sig_func_ptr handler);
int raise(int sig);
int kill(pid_t pid, int sig);
int killpg(pid_t group, int sig);
int tgkill(pid_t tgid, pid_t tid, int sig);
int sigaction(int sig, const struct sigaction *act, struct sigaction *old);
int sigprocmask(int how, const sigset_t *set, sigset_t *old);
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int sigpending(sigset_t *set);
int sigsuspend(const sigset_t *mask);
int sigwait(const sigset_t *set, int *sig);
int sigwaitinfo(const sigset_t *set, siginfo_t *info);
int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout);
int sigqueue(pid_t pid, int sig, const union sigval value);
int sigaltstack(const stack_t *stack, stack_t *old);
int sigemptyset(sigset_t *set);
int sigfillset(sigset_t *set);
int sigaddset(sigset_t *set, int sig);
int sigdelset(sigset_t *set, int sig);
int sigismember(const sigset_t *set, int sig);
void psignal(int sig, const char *text);

struct _reent;
_sig_func_ptr _signal_r(struct _reent *reent, int sig, _sig_func_ptr handler);
int _raise_r(struct _reent *reent, int sig);

#endif
