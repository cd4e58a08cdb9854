// What the files of kernel/task share about making and ending tasks.
#pragma once
#include "kernel/task/task.h"

struct wait_result;

// task.c
struct task *
task_alloc(void); // refs 1, kernel stack and FPU state, nothing else; NULL without memory
struct process *process_alloc(void); // refs 1; NULL without memory
// Puts a finished task into all lists: from here on others find it.
void task_publish(struct task *t);
// Undoes what a failed clone has given to t.
void task_abandon(struct task *t);
// Takes a dead thread out of all lists and drops what it keeps.
void task_release(struct task *t);
extern struct process_group init_pgrp;
void task_first_run(void *arg); // context_init's function: arg is the task

// oom.c
void oom_init(void);

// exit.c
bool is_ns_init(const struct process *p); // pid 1 of its pid namespace
// Frees a zombie: its number can be used again.
void process_reap(struct process *p);
// All threads of p but `except` are to end; p->group_exit or thread->must_exit says why.
void wake_to_die(struct task *t);

// pid.c
void pgrp_enter(struct process *p, struct process_group *g); // takes over a reference to g
void pgrp_leave(struct process *p);

// signal.c
struct sighand *sighand_create(void);
void sighand_put(struct sighand *s);
void sigqueue_init(struct sigqueue *q);
// Tells p's parent of p's end, stop or continuation: SIGCHLD (or p->exit_signal) and its wait
// queue.
void notify_parent(struct process *p, int code, int status);
// True if p's parent wants no zombie: SIGCHLD ignored or SA_NOCLDWAIT.
bool parent_ignores_children(const struct process *p);

// itimer.c
void itimer_free(struct process *p);

// cred.c
extern struct cred init_cred;
