// Tasks (threads), processes (thread groups) and what they own.
//
// A task is what the scheduler runs, a process is what fork makes and wait4 reaps: Linux's tid and tgid. A task has a
// kernel stack, registers and a signal mask; a process has children, pending signals, limits. Everything under the kernel lock.
#pragma once
#include <linux/resource.h>
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/task/cred.h"
#include "kernel/task/pid.h"
#include "kernel/task/signal.h"
#include "kernel/task/wait.h"
#include "kernel/x86/fpu.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/trap.h"

struct aspace;
struct cgroup;
struct nsset;
struct fdtable;    // kernel/fs/fdtable.h
struct fs_context; // kernel/fs/fs_context.h: cwd, root, umask

#define KSTACK_SIZE 16384

enum task_state {
    TASK_RUNNABLE,
    TASK_SLEEPING,        // interruptible: a signal wakes it
    TASK_UNINTERRUPTIBLE, // only wake() (or SIGKILL with `killable` sleeps) wakes it
    TASK_STOPPED,         // job control
    TASK_ZOMBIE,          // has exited; its process waits to be reaped
};

struct task {
    // Scheduler (sched.c).
    enum task_state state;
    bool on_rq, running;
    u32 cpu;                 // where it runs or ran last
    u64 affinity;            // sched_setaffinity mask
    int nice;
    u64 vruntime, exec_start_ns;
    u64 utime_ns, stime_ns, last_stamp_ns;
    struct list rq_link;
    struct wait_queue *sleeping_on;
    u64 nvcsw, nivcsw;

    // CPU state.
    u64 context;             // saved kernel rsp while it does not run
    void *kstack;            // KSTACK_SIZE bytes
    struct trapframe *tf;    // its user registers at the top of kstack; NULL for kernel threads
    u64 fs_base, gs_base;    // user's
    struct fpu_state *fpu;

    // What it is.
    char comm[16];
    struct pid *pid;         // its tid in each pid namespace
    struct process *process;
    struct list thread_link; // in process->threads
    struct list all_link;    // in all_tasks
    bool kernel_thread;

    // What it uses; each may be shared (CLONE_*), each may be NULL for kernel threads.
    struct aspace *aspace;
    struct fdtable *files;
    struct fs_context *fs;
    struct nsset *nsset;
    struct cred *cred;
    struct cgroup *cgroup;
    struct list cgroup_link; // in cgroup->tasks

    // Signals of this thread.
    u64 blocked, saved_blocked;
    bool restore_saved_blocked; // rt_sigsuspend, ppoll, pselect6
    struct sigqueue pending;
    bool signal_pending;        // something deliverable may be there: recomputed by signal_recalc
    u64 altstack_sp, altstack_size;
    u32 altstack_flags;
    u64 restart_ns;             // for restart_syscall: the absolute deadline of the sleep

    // clone's user pointers.
    int __user *clear_child_tid;
    void __user *robust_list;
    struct task *vfork_parent_waiting;
    struct completion *vfork_done;
    int exit_code;              // wait status of this thread's end

    u64 syscalls;               // system calls made, for `worlds`
    u64 minor_faults, major_faults;
    void *hv_vcpu;              // the vCPU that this task runs now, NULL if none
    u64 start_ns;
};

struct process {
    struct pid *pid;            // tgid in each pid namespace (same object as its leader's)
    struct task *leader;
    struct list threads;
    u32 thread_count;
    u32 refs;

    struct process *parent;
    struct list children, sibling;
    struct wait_queue child_wait; // wait4 sleeps here
    int exit_signal;            // sent to the parent at the end, SIGCHLD for fork
    bool zombie, stopped, continued, stop_reported;
    int exit_status;            // wait status
    bool group_exit;            // all threads are to end with exit_status
    bool is_subreaper;
    bool did_exec;

    struct process_group *pgrp; // job control: session and group
    struct list pgrp_link;

    struct sighand *sighand;    // actions, shared with CLONE_SIGHAND
    struct sigqueue pending;    // signals for any thread
    struct rlimit64 rlimits[RLIM_NLIMITS];
    u64 utime_ns, stime_ns;     // of threads that are gone
    u64 child_utime_ns, child_stime_ns; // of reaped children
    u64 child_minflt, minflt_gone;
    u64 syscalls_gone;
    struct itimer_state *itimer;
    int oom_score_adj;
    bool dumpable;
    u64 start_ns;
    void *hv_vm;                // list of VMs that it holds: hv's, for /proc
};

extern struct list all_tasks;

// The task that runs on this CPU.
static inline struct task *current(void)
{
    struct task *t;
    asm volatile("mov %%gs:24, %0" : "=r"(t));
    return t;
}

// How the file floor takes part in the life of a task: set once by fs at start-up (task is below fs).
struct task_file_ops {
    // clone: sets child's files and fs, shared or copied by flags (CLONE_FILES, CLONE_FS). 0 or -errno.
    int (*clone)(struct task *parent, struct task *child, u64 flags);
    void (*exec)(struct task *t);       // close-on-exec
    void (*exit)(struct task *t);       // drops files and fs; may sleep
};
extern const struct task_file_ops *task_file_ops;

void task_init(void);

// clone(2)/fork/vfork: the child's pid in the caller's namespace, or -errno. Child returns 0 with the parent's registers tf.
struct clone_args_k {
    u64 flags;              // CLONE_* without the signal
    int exit_signal;
    u64 stack;              // new rsp, 0: as the parent
    int __user *parent_tid;
    int __user *child_tid;
    u64 tls;
    struct cgroup *cgroup;  // CLONE_INTO_CGROUP, or NULL
};
long task_clone(const struct clone_args_k *args);

// A thread of the kernel: runs fn(arg) in the root cgroup until it returns. NULL without memory.
struct task *kthread_create(const char *name, void (*fn)(void *), void *arg);

void __noreturn task_exit(int wait_status);       // this thread
void __noreturn process_exit(int wait_status);    // exit_group: all threads
// wait4(2)/waitid(2) core: see wait4.c.

// Finds by number as seen in the caller's pid namespace; NULL if there is none. No reference: valid while the lock is not given up.
struct task *task_find(int tid);
struct process *process_find(int tgid);

// Moves a whole process to cg (cgroup.procs): charges pids there first. 0, -EAGAIN, …
int process_move_cgroup(struct process *p, struct cgroup *cg);

// The memory of other tasks' programs, for /proc.
struct aspace *process_aspace(struct process *p); // no reference
