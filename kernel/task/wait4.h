// Waiting for children: the core of wait4(2) and waitid(2).
#pragma once
#include <linux/resource.h>
#include "kernel/lib/types.h"

struct process;
struct task;

struct wait_request {
    int which;   // P_ALL, P_PID, P_PGID
    int id;      // in the caller's pid namespace
    int options; // WEXITED, WSTOPPED, WCONTINUED, WNOHANG, WNOWAIT, __WALL, __WCLONE
};

struct wait_result {
    int pid; // 0: WNOHANG and nobody is ready
    u32 uid;
    int code;   // CLD_*
    int status; // as wait4 gives it
    struct rusage usage;
};

// 0, -ECHILD, -ERESTARTSYS. Sleeps.
int wait_for_child(const struct wait_request *req, struct wait_result *res);
// getrusage(2) of a process (its threads, gone ones too), and of its reaped children.
void process_rusage(struct process *p, struct rusage *ru);
void children_rusage(struct process *p, struct rusage *ru);
void task_rusage(struct task *t, struct rusage *ru);
