// Process identifiers: one struct pid has a number in its own pid namespace and in each namespace
// above. pid_namespaces(7).
#pragma once
#include "container/ns/ns.h"
#include "kernel/lib/list.h"

struct task;
struct process;

struct pid {
    u32 refs;
    u32 level;
    struct {
        int nr;
        struct pid_ns *ns;
    } numbers[PID_NS_MAX_LEVEL];
    struct task *task;          // with this tid, NULL once gone
    struct process *process;    // with this tgid
    struct process_group *pgrp; // with this pgid
    struct session *session;    // with this sid
};

// Numbers for a new task in ns and all namespaces above. ERR_PTR(-EAGAIN) when numbers run out,
// -ENOMEM when ns is dying.
struct pid *pid_alloc(struct pid_ns *ns);
struct pid *pid_get(struct pid *p);
void pid_put(struct pid *p); // the numbers are free after the last put
struct pid *pid_find(struct pid_ns *ns, int nr);
// The number as seen from ns; 0 if it cannot be seen there.
int pid_nr(const struct pid *p, const struct pid_ns *ns);
// The next pid with number >= nr in ns, for directory listings of /proc; NULL at the end.
struct pid *pid_next(struct pid_ns *ns, int nr);
// The pid namespace that `current` sees.
struct pid_ns *current_pid_ns(void);

// Process groups and sessions (setpgid(2), setsid(2), credentials(7)).
struct session {
    u32 refs;
    struct pid *pid;
    struct process *leader;
    void *tty; // controlling terminal: kernel/dev/tty.h
    struct process_group *foreground;
    void (*leader_exit)(struct session *s); // set by tty: hang-up
};
struct process_group {
    u32 refs;
    struct pid *pid;
    struct session *session;
    struct list members; // processes by pgrp_link
};
long task_setpgid(int pid, int pgid);
long task_setsid(void); // the new session's id in the caller's namespace
struct session *session_get(struct session *s);
void session_put(struct session *s);
struct process_group *pgrp_get(struct process_group *g);
void pgrp_put(struct process_group *g);
// True if no member has a parent in another group of the same session: job control cannot wake it
// (POSIX).
bool pgrp_orphaned(const struct process_group *g);
