// Process identifiers: allocation and lookup in each namespace, process groups, sessions.

#include "kernel/task/pid.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/task/task_internal.h"

#define PIDS_PER_PAGE 512
#define PID_WRAP 300 // numbers below are not used again once they ran out (pid 1 and friends)

static struct pid **slot(struct pid_ns *ns, int nr)
{
    if (nr <= 0 || nr >= PID_MAX || !ns->table[nr / PIDS_PER_PAGE])
        return NULL;
    return &ns->table[nr / PIDS_PER_PAGE][nr % PIDS_PER_PAGE];
}

// Takes a free number of ns for p: the number, -EAGAIN or -ENOMEM.
static int take_number(struct pid_ns *ns, struct pid *p)
{
    int nr = ns->last_pid;

    for (int tries = 0; tries < PID_MAX; tries++) {
        if (++nr >= PID_MAX)
            nr = PID_WRAP;
        struct pid ***page = &ns->table[nr / PIDS_PER_PAGE];
        if (!*page && !(*page = kzalloc(PIDS_PER_PAGE * sizeof(struct pid *))))
            return -ENOMEM;
        if ((*page)[nr % PIDS_PER_PAGE])
            continue;
        (*page)[nr % PIDS_PER_PAGE] = p;
        ns->last_pid = nr;
        return nr;
    }
    return -EAGAIN;
}

static void free_numbers(struct pid *p)
{
    for (u32 i = 0; i <= p->level; i++) {
        if (p->numbers[i].nr > 0)
            *slot(p->numbers[i].ns, p->numbers[i].nr) = NULL;
    }
}

struct pid *pid_alloc(struct pid_ns *ns)
{
    if (ns->dying)
        return ERR_PTR(-ENOMEM);
    struct pid *p = kzalloc(sizeof(*p));
    if (!p)
        return ERR_PTR(-ENOMEM);
    p->refs = 1;
    p->level = ns->level;
    for (struct pid_ns *up = ns; up; up = up->parent) {
        int nr = take_number(up, p);
        if (nr < 0) {
            free_numbers(p);
            kfree(p);
            return ERR_PTR(nr);
        }
        p->numbers[up->level].nr = nr;
        p->numbers[up->level].ns = up;
    }
    ns_get(&ns->ns);
    return p;
}

struct pid *pid_get(struct pid *p)
{
    p->refs++;
    return p;
}

void pid_put(struct pid *p)
{
    if (!p || --p->refs)
        return;
    struct pid_ns *ns = p->numbers[p->level].ns;
    free_numbers(p);
    kfree(p);
    ns_put(&ns->ns);
}

struct pid *pid_find(struct pid_ns *ns, int nr)
{
    struct pid **s = slot(ns, nr);

    return s ? *s : NULL;
}

int pid_nr(const struct pid *p, const struct pid_ns *ns)
{
    if (!p || p->level < ns->level || p->numbers[ns->level].ns != ns)
        return 0;
    return p->numbers[ns->level].nr;
}

struct pid *pid_next(struct pid_ns *ns, int nr)
{
    for (nr = nr < 1 ? 1 : nr; nr < PID_MAX; nr++) {
        struct pid **s = slot(ns, nr);
        if (!s)
            nr |= PIDS_PER_PAGE - 1; // a page that is not there
        else if (*s)
            return *s;
    }
    return NULL;
}

struct pid_ns *current_pid_ns(void)
{
    struct pid *p = current()->pid;

    return p ? p->numbers[p->level].ns : &init_pid_ns;
}

struct task *task_find(int tid)
{
    struct pid *p = pid_find(current_pid_ns(), tid);

    return p ? p->task : NULL;
}

struct process *process_find(int tgid)
{
    struct pid *p = pid_find(current_pid_ns(), tgid);

    return p ? p->process : NULL;
}

struct session *session_get(struct session *s)
{
    s->refs++;
    return s;
}

void session_put(struct session *s)
{
    if (!s || --s->refs)
        return;
    s->pid->session = NULL;
    pid_put(s->pid);
    kfree(s);
}

struct process_group *pgrp_get(struct process_group *g)
{
    g->refs++;
    return g;
}

void pgrp_put(struct process_group *g)
{
    if (!g || --g->refs)
        return;
    if (g->session->foreground == g)
        g->session->foreground = NULL;
    g->pid->pgrp = NULL;
    pid_put(g->pid);
    session_put(g->session);
    kfree(g);
}

// A new group named after pid in session s: refs 1, or NULL without memory.
static struct process_group *pgrp_create(struct pid *pid, struct session *s)
{
    struct process_group *g = kzalloc(sizeof(*g));

    if (!g)
        return NULL;
    g->refs = 1;
    g->pid = pid_get(pid);
    g->session = session_get(s);
    list_init(&g->members);
    pid->pgrp = g;
    return g;
}

void pgrp_enter(struct process *p, struct process_group *g)
{
    struct process_group *old = p->pgrp;

    if (old)
        list_remove(&p->pgrp_link);
    p->pgrp = g;
    list_append(&g->members, &p->pgrp_link);
    pgrp_put(old);
}

void pgrp_leave(struct process *p)
{
    list_remove(&p->pgrp_link);
    pgrp_put(p->pgrp);
    p->pgrp = NULL;
}

bool pgrp_orphaned(const struct process_group *g)
{
    struct process *p;

    list_for_each (p, &g->members, pgrp_link) {
        struct process *parent = p->parent;
        if (!p->zombie && parent && parent->pgrp && parent->pgrp != g &&
            parent->pgrp->session == g->session)
            return false;
    }
    return true;
}

// setpgid(2): p is the caller or a child of it that has not called execve yet.
static int may_setpgid(struct process *me, struct process *p)
{
    if (p != me) {
        if (p->parent != me)
            return -ESRCH;
        if (!p->pgrp || p->pgrp->session != me->pgrp->session)
            return -EPERM;
        if (p->did_exec)
            return -EACCES;
    }
    return p->pgrp->session->pid == p->pid ? -EPERM : 0; // a session's leader stays where it is
}

long task_setpgid(int pid, int pgid)
{
    struct process *me = current()->process;
    struct process *p = pid ? process_find(pid) : me;
    struct process_group *g;

    if (pgid < 0)
        return -EINVAL;
    if (!p || p->zombie)
        return -ESRCH;
    int err = may_setpgid(me, p);
    if (err)
        return err;
    struct pid *target = pgid ? pid_find(current_pid_ns(), pgid) : p->pid;
    if (target && target->pgrp) {
        if (target->pgrp->session != p->pgrp->session)
            return -EPERM;
        g = pgrp_get(target->pgrp);
    } else {
        if (target != p->pid)
            return -EPERM;
        g = pgrp_create(target, p->pgrp->session);
        if (!g)
            return -ENOMEM;
    }
    pgrp_enter(p, g);
    return 0;
}

// A new session with one group, both named after p's pid; p leads it and has no terminal.
static int session_start(struct process *p)
{
    struct session *s = kzalloc(sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->refs = 1;
    s->pid = pid_get(p->pid);
    s->leader = p;
    p->pid->session = s;
    struct process_group *g = pgrp_create(p->pid, s);
    if (g)
        pgrp_enter(p, g);
    session_put(s); // the group holds it
    return g ? 0 : -ENOMEM;
}

long task_setsid(void)
{
    struct process *p = current()->process;

    if (p->pid->pgrp || p->pid->session)
        return -EPERM;
    int err = session_start(p);
    return err ? err : pid_nr(p->pid, current_pid_ns());
}
