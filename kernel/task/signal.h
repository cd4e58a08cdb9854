// Signals: signal(7), sigaction(2). Generation, masks, delivery on the way back to user mode, and
// the frame of rt_sigreturn.
#pragma once
#include <asm/siginfo.h>
#include <asm/signal.h>
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

struct task;
struct wait_queue;
struct process;
struct process_group;
struct trapframe;

#define NSIG_K 64
#define SIG_BIT(n) (1UL << ((n)-1))

extern struct wait_queue signal_kept; // woken when a signal was sent that somebody blocks: signalfd

struct sigqueue { // standard signals once each, real-time signals queued
    u64 set;
    struct list infos; // of struct sigqueue_entry; a signal without an entry has lost its siginfo
};

struct sigqueue_entry {
    struct list link;
    siginfo_t info;
};

struct ksigaction { // the kernel's struct sigaction
    u64 handler, flags, restorer, mask;
};

struct sighand {
    u32 refs;
    struct ksigaction action[NSIG_K];
};

// Sends to a thread / a process / each member of a group; info NULL: from the kernel. 0 or -EAGAIN.
// Permission is the caller's business (signal_may_send).
int signal_send_task(struct task *t, int sig, const siginfo_t *info);
int signal_send_process(struct process *p, int sig, const siginfo_t *info);
int signal_send_group(struct process_group *g, int sig, const siginfo_t *info);
// Ends p with the wait status of sig, whatever it handles or blocks.
void signal_end_process(struct process *p, int sig);
// True if current may send sig to target: kill(2).
bool signal_may_send(struct process *target, int sig);
// A fault of the current task: delivered even if blocked or ignored (then it kills).
void signal_force(int sig, int code, u64 addr);
// True if current has something to deliver.
bool signal_pending_current(void);
// True if current must end (SIGKILL or group exit).
bool fatal_signal_pending(void);
void signal_recalc(struct task *t);
// Sets a temporary mask for the length of this system call (ppoll, pselect6, epoll_pwait,
// rt_sigsuspend, KVM_RUN).
void signal_set_temporary_mask(u64 mask);
void sigqueue_flush(struct sigqueue *q, u64 mask); // drops the signals of mask
// Sets current's mask (SIGKILL and SIGSTOP stay out of it).
void signal_set_blocked(u64 mask);
// Takes the next signal of `mask` that waits for current, the thread's own first: its number, 0 if
// there is none.
int signal_dequeue(u64 mask, siginfo_t *info);
// True if sig would be thrown away now for p: ignored by action or by default.
bool signal_ignored(const struct process *p, int sig);
