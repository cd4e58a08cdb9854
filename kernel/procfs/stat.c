// /proc/PID/stat, statm and status: proc(5) gives their fields.
#include "hv/hv.h"
#include "kernel/dev/tty.h"
#include "kernel/fs/fdtable.h"
#include "kernel/mm/aspace.h"
#include "kernel/procfs/procfs.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"
#include "kernel/x86/percpu.h"

#define TICK_NS (NSEC_PER_SEC / 100)

static char state_letter(const struct task *t)
{
    if (t->process->zombie || t->state == TASK_ZOMBIE)
        return 'Z';
    switch (t->state) {
    case TASK_RUNNABLE:
        return 'R';
    case TASK_UNINTERRUPTIBLE:
        return 'D';
    case TASK_STOPPED:
        return 'T';
    default:
        return 'S';
    }
}

static const char *state_name(char letter)
{
    switch (letter) {
    case 'Z':
        return "zombie";
    case 'R':
        return "running";
    case 'D':
        return "disk sleep";
    case 'T':
        return "stopped";
    default:
        return "sleeping";
    }
}

struct job { // what stat says of job control
    int pgrp, session, tty, foreground;
};

static struct job job_of(const struct process *p, const struct pid_ns *ns)
{
    struct job j = {.foreground = -1};

    if (!p->pgrp)
        return j;
    const struct session *session = p->pgrp->session;
    const struct tty *tty = session->tty;
    j.pgrp = pid_nr(p->pgrp->pid, ns);
    j.session = pid_nr(session->pid, ns);
    if (tty) {
        j.tty = tty->rdev;
        j.foreground = session->foreground ? pid_nr(session->foreground->pid, ns) : -1;
    }
    return j;
}

int proc_show_stat(struct seqtext *s, const struct proc_node *n)
{
    struct process *p = n->process;
    const struct task *t = n->task;
    const struct aspace *as = t->aspace;
    struct job j = job_of(p, n->ns);
    u64 user, system;

    process_times(p, &user, &system);
    seq_printf(s, "%d (%s) %c %d %d %d %d %d 0 ", pid_nr(t->pid, n->ns), t->comm, state_letter(t),
               process_ppid(p, n->ns), j.pgrp, j.session, j.tty, j.foreground);
    seq_printf(s, "%lu %lu 0 0 %lu %lu %lu %lu ", p->minflt_gone + t->minor_faults, p->child_minflt,
               user / TICK_NS, system / TICK_NS, p->child_utime_ns / TICK_NS,
               p->child_stime_ns / TICK_NS);
    seq_printf(s, "%d %d %u 0 %lu %lu %lu %lu ", 20 + t->nice, t->nice, p->thread_count,
               p->start_ns / TICK_NS, as ? aspace_virtual_size((struct aspace *)as) : 0,
               as ? as->resident : 0, (u64)p->rlimits[RLIMIT_RSS].rlim_cur);
    seq_printf(s, "0 0 0 0 0 %lu %lu 0 0 0 0 0 %d %u 0 0 0 0 0 0 0 0 ", t->pending.set, t->blocked,
               p->exit_signal, t->cpu);
    seq_printf(s, "%lu %lu %lu %lu %d\n", as ? as->arg_start : 0, as ? as->arg_end : 0,
               as ? as->env_start : 0, as ? as->env_end : 0, p->exit_status);
    return 0;
}

int proc_show_statm(struct seqtext *s, const struct proc_node *n)
{
    struct aspace *as = n->task->aspace;

    seq_printf(s, "%lu %lu 0 0 0 0 0\n", as ? aspace_virtual_size(as) / PAGE_SIZE : 0,
               as ? as->resident : 0);
    return 0;
}

static void show_ids(struct seqtext *s, const struct cred *c)
{
    const struct user_ns *ns = current()->cred->user_ns;

    seq_printf(s, "Uid:\t%u\t%u\t%u\t%u\n", map_id_out(ns, false, c->uid),
               map_id_out(ns, false, c->euid), map_id_out(ns, false, c->suid),
               map_id_out(ns, false, c->fsuid));
    seq_printf(s, "Gid:\t%u\t%u\t%u\t%u\n", map_id_out(ns, true, c->gid),
               map_id_out(ns, true, c->egid), map_id_out(ns, true, c->sgid),
               map_id_out(ns, true, c->fsgid));
}

// A process's numbers from the reader's namespace down to its own.
static void show_ns_pids(struct seqtext *s, const char *name, const struct pid *pid,
                         const struct pid_ns *ns)
{
    seq_printf(s, "%s:", name);
    for (u32 level = ns->level; level <= pid->level; level++)
        seq_printf(s, "\t%d", pid->numbers[level].nr);
    seq_puts(s, "\n");
}

static void show_memory(struct seqtext *s, struct aspace *as)
{
    if (!as)
        return;
    seq_printf(s, "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\n", aspace_virtual_size(as) / 1024,
               aspace_virtual_size(as) / 1024);
    seq_printf(s, "VmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\n", as->resident_peak * 4, as->resident * 4);
}

static void show_signals(struct seqtext *s, const struct task *t)
{
    const struct sighand *h = t->process->sighand;
    u64 ignored = 0, caught = 0;

    for (int sig = 1; h && sig <= NSIG_K; sig++) {
        u64 handler = h->action[sig - 1].handler;
        if (handler == (u64)SIG_IGN)
            ignored |= SIG_BIT(sig);
        else if (handler != (u64)SIG_DFL)
            caught |= SIG_BIT(sig);
    }
    seq_printf(s, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n", t->pending.set,
               t->process->pending.set, t->blocked);
    seq_printf(s, "SigIgn:\t%016lx\nSigCgt:\t%016lx\n", ignored, caught);
}

static void show_capabilities(struct seqtext *s, const struct cred *c)
{
    seq_printf(s, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\n", c->cap_inheritable,
               c->cap_permitted, c->cap_effective);
    seq_printf(s, "CapBnd:\t%016lx\nCapAmb:\t%016lx\nNoNewPrivs:\t%d\nSeccomp:\t0\n",
               c->cap_bounding, c->cap_ambient, c->no_new_privs);
}

// What `worlds` reads: system calls, and for a VMM its vCPUs and exits.
static void show_vivarium(struct seqtext *s, const struct process *p)
{
    u64 calls = p->syscalls_gone, exits;
    struct task *t;
    u32 vcpus;

    list_for_each (t, &p->threads, thread_link)
        calls += t->syscalls;
    seq_printf(s, "VivSyscalls:\t%lu\n", calls);
    if (hv_process_counts(p, &vcpus, &exits))
        seq_printf(s, "VivVcpus:\t%u\nVivExits:\t%lu\n", vcpus, exits);
}

int proc_show_status(struct seqtext *s, const struct proc_node *n)
{
    const struct process *p = n->process;
    const struct task *t = n->task;
    char letter = state_letter(t);

    seq_printf(s, "Name:\t%s\n", t->comm);
    if (t->fs)
        seq_printf(s, "Umask:\t%04o\n", t->fs->umask);
    seq_printf(s, "State:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
               letter, state_name(letter), pid_nr(p->pid, n->ns), pid_nr(t->pid, n->ns),
               process_ppid(p, n->ns));
    show_ids(s, t->cred);
    seq_printf(s, "FDSize:\t%u\nGroups:\t", t->files ? t->files->size : 0);
    for (u32 i = 0; i < t->cred->ngroups; i++)
        seq_printf(s, "%u ", map_id_out(current()->cred->user_ns, true, t->cred->groups[i]));
    seq_puts(s, "\n");
    show_ns_pids(s, "NStgid", p->pid, n->ns);
    show_ns_pids(s, "NSpid", t->pid, n->ns);
    show_memory(s, t->aspace);
    seq_printf(s, "Threads:\t%u\n", p->thread_count);
    show_signals(s, t);
    show_capabilities(s, t->cred);
    seq_printf(
        s, "Cpus_allowed:\t%lx\nvoluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
        t->affinity & (BIT(cpu_count()) - 1), t->nvcsw, t->nivcsw);
    show_vivarium(s, p);
    return 0;
}
