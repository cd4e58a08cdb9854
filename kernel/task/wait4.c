// Waiting for children: which child, what happened to it, and what it used.

#include "kernel/task/wait4.h"
#include <asm/siginfo.h>
#include <linux/wait.h>
#include "container/ns/ns.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/task/task_internal.h"
#include "kernel/x86/clock.h"

static void set_times(struct rusage *ru, u64 user_ns, u64 system_ns)
{
    ru->ru_utime.tv_sec = user_ns / NSEC_PER_SEC;
    ru->ru_utime.tv_usec = user_ns % NSEC_PER_SEC / NSEC_PER_USEC;
    ru->ru_stime.tv_sec = system_ns / NSEC_PER_SEC;
    ru->ru_stime.tv_usec = system_ns % NSEC_PER_SEC / NSEC_PER_USEC;
}

void process_rusage(struct process *p, struct rusage *ru)
{
    u64 user, system;
    struct task *t;
    struct aspace *as = process_aspace(p);

    memset(ru, 0, sizeof(*ru));
    process_times(p, &user, &system);
    set_times(ru, user, system);
    ru->ru_minflt = p->minflt_gone;
    list_for_each (t, &p->threads, thread_link) {
        ru->ru_minflt += t->minor_faults;
        ru->ru_majflt += t->major_faults;
        ru->ru_nvcsw += t->nvcsw;
        ru->ru_nivcsw += t->nivcsw;
    }
    if (as)
        ru->ru_maxrss = as->resident_peak * (PAGE_SIZE / 1024);
}

void task_rusage(struct task *t, struct rusage *ru)
{
    memset(ru, 0, sizeof(*ru));
    set_times(ru, t->utime_ns, t->stime_ns);
    ru->ru_minflt = t->minor_faults;
    ru->ru_majflt = t->major_faults;
    ru->ru_nvcsw = t->nvcsw;
    ru->ru_nivcsw = t->nivcsw;
}

void children_rusage(struct process *p, struct rusage *ru)
{
    memset(ru, 0, sizeof(*ru));
    set_times(ru, p->child_utime_ns, p->child_stime_ns);
    ru->ru_minflt = p->child_minflt;
}

// What a child has used, with its own reaped children: getrusage(2) calls it RUSAGE_BOTH.
static void whole_rusage(struct process *p, struct rusage *ru)
{
    u64 user, system;

    process_rusage(p, ru);
    process_times(p, &user, &system);
    set_times(ru, user + p->child_utime_ns, system + p->child_stime_ns);
    ru->ru_minflt += p->child_minflt;
}

static bool eligible(const struct process *c, const struct wait_request *req)
{
    struct pid_ns *ns = current_pid_ns();

    if (req->which == P_PID && pid_nr(c->pid, ns) != req->id)
        return false;
    if (req->which == P_PGID) {
        struct process *me = current()->process;
        if (req->id ? pid_nr(c->pgrp->pid, ns) != req->id : c->pgrp != me->pgrp)
            return false;
    }
    return (req->options & __WALL) || (c->exit_signal != SIGCHLD) == !!(req->options & __WCLONE);
}

static void fill(struct process *c, struct wait_result *res, int code, int status)
{
    res->pid = pid_nr(c->pid, current_pid_ns());
    res->uid = map_id_out(current()->cred->user_ns, false, c->leader->cred->uid);
    res->code = code;
    res->status = status;
    whole_rusage(c, &res->usage);
}

static void reap_child(struct process *me, struct process *c)
{
    u64 user, system;

    process_times(c, &user, &system);
    me->child_utime_ns += user + c->child_utime_ns;
    me->child_stime_ns += system + c->child_stime_ns;
    me->child_minflt += c->minflt_gone + c->child_minflt;
    process_reap(c);
}

// True if c has something to report; then it is reported, and not again unless WNOWAIT.
static bool report(struct process *me, struct process *c, const struct wait_request *req,
                   struct wait_result *res)
{
    bool keep = req->options & WNOWAIT;

    if (c->zombie && (req->options & WEXITED)) {
        fill(c, res, c->exit_status & 0x7f ? CLD_KILLED : CLD_EXITED, c->exit_status);
        if (!keep)
            reap_child(me, c);
        return true;
    }
    if (c->stopped && c->stop_notified && !c->stop_reported && (req->options & WSTOPPED)) {
        fill(c, res, CLD_STOPPED, c->stop_signal << 8 | 0x7f);
        c->stop_reported = !keep;
        return true;
    }
    if (c->continued && (req->options & WCONTINUED)) {
        fill(c, res, CLD_CONTINUED, 0xffff);
        c->continued = keep;
        return true;
    }
    return false;
}

int wait_for_child(const struct wait_request *req, struct wait_result *res)
{
    struct process *me = current()->process, *c;

    memset(res, 0, sizeof(*res));
    for (;;) {
        bool any = false;
        list_for_each (c, &me->children, sibling) {
            if (!eligible(c, req))
                continue;
            any = true;
            if (report(me, c, req, res))
                return 0;
        }
        if (!any)
            return -ECHILD;
        if (req->options & WNOHANG)
            return 0;
        int err = wait_sleep(&me->child_wait, WAIT_FOREVER);
        if (err)
            return err;
    }
}
