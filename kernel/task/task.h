// Tasks (threads), processes (thread groups) and what they own.
//
// A task is what the scheduler runs, a process is what fork makes and wait4 reaps: Linux's tid and
// tgid. A task has a kernel stack, registers and a signal mask; a process has children, pending
// signals, limits. Everything under the kernel lock.
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
    bool on_rq, running; // waits in the runqueue; has a CPU
    bool counted;        // as runnable in its cgroup
    bool parked;         // runnable, but its cgroup may not run now
    bool killable;       // SIGKILL ends this uninterruptible sleep
    bool woken;          // an entry of its wait queues was woken since the sleep began
    bool exiting;        // in task_exit
    bool must_exit;      // exec by another thread of the process ends this one
    u32 refs;            // the task list and the CPU that it runs on, and who keeps it over a sleep
    u32 cpu;             // where it runs or ran last
    u64 affinity;        // sched_setaffinity mask
    int nice;
    u64 vruntime;
    u64 utime_ns, stime_ns, last_stamp_ns;
    u64 system_tsc; // TSC ticks spent in the kernel since last_stamp_ns
    struct list rq_link;
    u64 nvcsw, nivcsw;

    // CPU state.
    u64 context;          // saved kernel rsp while it does not run
    void *kstack;         // KSTACK_SIZE bytes
    struct trapframe *tf; // its user registers at the top of kstack; NULL for idle tasks
    u64 fs_base, gs_base; // user's
    struct fpu_state *fpu;

    // What it is.
    char comm[16];
    struct pid *pid; // its tid in each pid namespace
    struct process *process;
    struct list thread_link; // in process->threads
    struct list all_link;    // in all_tasks
    bool kernel_thread;
    void (*kthread_fn)(void *);
    void *kthread_arg;

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
    u64 awaited;                // rt_sigtimedwait takes these even if they are ignored
    bool restore_saved_blocked; // rt_sigsuspend, ppoll, pselect6
    struct sigqueue pending;
    bool signal_pending; // something deliverable may be there: recomputed by signal_recalc
    u64 altstack_sp, altstack_size;
    u32 altstack_flags;
    u64 restart_ns;        // for restart_syscall: the absolute deadline of the sleep
    long (*restart)(void); // what restart_syscall(2) goes on with after ERESTART_RESTARTBLOCK
    u64 restart_args[3];
    u64 trap_nr, trap_error, trap_addr; // the last exception, for the signal frame

    // clone's user pointers.
    int __user *set_child_tid, *clear_child_tid;
    void __user *robust_list;
    struct completion *vfork_done; // its vfork parent waits on it
    int parent_death_signal;       // PR_SET_PDEATHSIG
    int exit_code;                 // wait status of this thread's end

    u64 syscalls; // system calls made, for `worlds`
    u64 minor_faults, major_faults;
    // Called before the CPU goes to another task, where the task has state in the CPU that the
    // scheduler does not know of: a vCPU's. NULL: nothing. Must not sleep.
    void (*sched_out)(struct task *t);
    void *hv_vcpu; // the vCPU that this task runs now, NULL if none
    u64 start_ns;
};

struct process {
    struct pid *pid;     // tgid in each pid namespace (same object as its leader's)
    struct task *leader; // stays until the process is reaped
    struct list threads; // that have not exited
    u32 thread_count;
    u32 refs;

    struct process *parent;
    struct list children, sibling;
    struct wait_queue child_wait; // wait4 sleeps here
    int exit_signal;              // sent to the parent at the end, SIGCHLD for fork
    bool zombie, continued;
    bool stopped; // job control: its threads stop on their way to user mode
    bool stop_reported, stop_notified;
    int stop_signal;
    int exit_status; // wait status
    bool group_exit; // all threads are to end with exit_status
    bool is_subreaper;
    bool did_exec;

    struct process_group *pgrp; // job control: session and group
    struct list pgrp_link;

    struct sighand *sighand; // actions, shared with CLONE_SIGHAND
    struct sigqueue pending; // signals for any thread
    struct rlimit64 rlimits[RLIM_NLIMITS];
    u64 utime_ns, stime_ns;             // of threads that are gone
    u64 child_utime_ns, child_stime_ns; // of reaped children
    u64 child_minflt, minflt_gone;
    u64 syscalls_gone;
    struct itimer_state *itimer;
    int oom_score_adj;
    bool dumpable;
    u64 start_ns;
};

extern struct list all_tasks;

// The task that runs on this CPU.
static inline struct task *current(void)
{
    struct task *t;
    asm volatile("mov %%gs:24, %0" : "=r"(t));
    return t;
}

// How the file floor takes part in the life of a task: set once by fs at start-up (task is below
// fs).
struct task_file_ops {
    // clone: sets child's files and fs, shared or copied by flags (CLONE_FILES, CLONE_FS).
    // child->nsset is set already: with CLONE_NEWNS its cwd and root are to be the same places in
    // the new mount namespace. parent NULL (a kernel thread): an empty table, cwd and root at the
    // root. 0 or -errno.
    int (*clone)(struct task *parent, struct task *child, u64 flags);
    // unshare(2) with CLONE_FILES, CLONE_FS: current gets copies of its own. 0 or -errno.
    int (*unshare)(u64 flags);
    // The mount namespace of current was `old` and is now nsset->ns[NS_MNT]: a copy of it, where
    // cwd and root are to be the same places (entered false), or another one, whose root they are
    // to be (entered true, setns). 0 or -errno.
    int (*mnt_ns_changed)(struct ns *old, bool entered);
    void (*exec)(struct task *t); // close-on-exec; an unshared descriptor table
    void (*exit)(struct task *t); // drops files and fs; may sleep
};
extern const struct task_file_ops *task_file_ops;

void task_init(void);

// clone(2)/fork/vfork: the child's pid in the caller's namespace, or -errno. Child returns 0 with
// the parent's registers tf.
struct clone_args_k {
    u64 flags; // CLONE_* without the signal
    int exit_signal;
    u64 stack; // new rsp, 0: as the parent
    int __user *parent_tid;
    int __user *child_tid;
    u64 tls;
    struct cgroup *cgroup; // CLONE_INTO_CGROUP, or NULL: the parent's
};
long task_clone(const struct clone_args_k *args);

// A thread of the kernel: runs fn(arg) in the root cgroup until it returns, in a process of its
// own. NULL without memory. If fn calls exec_kernel with success it becomes a user process when fn
// returns; the first one made has pid 1 and is init.
struct task *kthread_create(const char *name, void (*fn)(void *), void *arg);

void __noreturn task_exit(int wait_status);    // this thread
void __noreturn process_exit(int wait_status); // exit_group: all threads

// exec's part in the life of a task. exec_kill_threads ends all other threads of the current
// process and makes current its leader; 0, or -EAGAIN when current is to die itself. Sleeps.
// exec_done: signal handlers go back to default, vfork's parent goes on, close-on-exec descriptors
// close, FPU and FS base are reset, the name is set.
int exec_kill_threads(void);
int exec_unshare_signals(void); // signal handlers of its own (CLONE_SIGHAND): 0 or -ENOMEM; before
                                // the point of no return
void exec_done(const char *comm);

// A reference on a task keeps the structure (not the task alive) over a sleep.
struct task *task_get(struct task *t);
void task_put(struct task *t);
struct process *process_get(struct process *p);
void process_put(struct process *p);

// Finds by number as seen in the caller's pid namespace; NULL if there is none. No reference: valid
// while the lock is not given up.
struct task *task_find(int tid);
struct process *process_find(int tgid);

// Moves a whole process to cg (cgroup.procs): 0, or -ENODEV if cg is removed, -ESRCH if p has
// ended.
int process_move_cgroup(struct process *p, struct cgroup *cg);
// SIGKILL to each process in the subtree of cg (cgroup.kill).
void cgroup_kill_tasks(struct cgroup *cg);

// The parent's pid as seen in ns; 0 where it cannot be seen.
int process_ppid(const struct process *p, const struct pid_ns *ns);
// CPU time of all threads, gone ones too, brought up to now.
void process_times(struct process *p, u64 *user_ns, u64 *system_ns);

// The memory of other tasks' programs, for /proc.
struct aspace *process_aspace(struct process *p); // no reference
