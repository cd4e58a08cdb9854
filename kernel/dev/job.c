// Job control: controlling terminals, foreground process groups, hang-ups. credentials(7),
// tty_ioctl(2).

#include "kernel/dev/tty.h"
#include "kernel/lib/err.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/pid.h"
#include "kernel/task/signal.h"
#include "kernel/task/task.h"

static struct session *own_session(void)
{
    return current()->process->pgrp->session;
}

static bool ignores(int sig)
{
    const struct task *t = current();

    return (t->blocked & SIG_BIT(sig)) ||
           t->process->sighand->action[sig - 1].handler == (u64)SIG_IGN;
}

// A background group that reads (SIGTTIN), or writes or changes settings (SIGTTOU), is stopped;
// where that cannot work the call fails, or for SIGTTOU goes on.
int tty_check_background(struct tty *tty, int sig)
{
    struct process_group *group = current()->process->pgrp;

    if (!tty->session || tty->session != group->session || !tty->session->foreground ||
        tty->session->foreground == group)
        return 0;
    if (ignores(sig))
        return sig == SIGTTOU ? 0 : -EIO;
    if (pgrp_orphaned(group))
        return -EIO;
    signal_send_group(group, sig, NULL);
    return -ERESTARTSYS;
}

static void session_leader_exit(struct session *s)
{
    struct tty *tty = s->tty;

    if (!tty)
        return;
    if (s->foreground) {
        signal_send_group(s->foreground, SIGHUP, NULL);
        signal_send_group(s->foreground, SIGCONT, NULL);
    }
    tty->session = NULL;
    s->tty = NULL;
    s->foreground = NULL;
}

void tty_make_controlling(struct tty *tty)
{
    struct session *s = own_session();

    if (s->leader != current()->process || s->tty || tty->session)
        return;
    s->tty = tty;
    s->leader_exit = session_leader_exit;
    s->foreground = current()->process->pgrp;
    tty->session = s;
}

void tty_hangup(struct tty *tty)
{
    struct session *s = tty->session;

    tty->hung_up = true;
    if (s && s->leader) {
        signal_send_process(s->leader, SIGHUP, NULL);
        signal_send_process(s->leader, SIGCONT, NULL);
    }
    if (s && s->foreground)
        signal_send_group(s->foreground, SIGHUP, NULL);
    wake_all(&tty->read_wait);
    wake_all(&tty->write_wait);
}

static long set_controlling(struct tty *tty, u64 steal)
{
    struct session *s = own_session();

    if (tty->session == s && s->tty == tty)
        return 0;
    if (s->leader != current()->process || s->tty)
        return -EPERM;
    if (tty->session) {
        if (steal != 1 || !capable(CAP_SYS_ADMIN))
            return -EPERM;
        tty->session->tty = NULL;
        tty->session->foreground = NULL;
        tty->session = NULL;
    }
    tty_make_controlling(tty);
    return 0;
}

static long give_up(struct tty *tty)
{
    struct session *s = own_session();

    if (tty->session != s)
        return -ENOTTY;
    if (s->leader == current()->process)
        session_leader_exit(s);
    return 0;
}

static long get_foreground(struct tty *tty, u64 arg)
{
    struct session *s = own_session();

    if (tty->session != s)
        return -ENOTTY;
    int id = s->foreground ? pid_nr(s->foreground->pid, current_pid_ns()) : 0;
    return put_user(id, (int __user *)arg);
}

static long set_foreground(struct tty *tty, u64 arg)
{
    struct session *s = own_session();
    int id;

    if (tty->session != s)
        return -ENOTTY;
    int err = tty_check_background(tty, SIGTTOU);
    if (err)
        return err;
    if (get_user(id, (int __user *)arg))
        return -EFAULT;
    if (id <= 0)
        return -EINVAL;
    struct pid *pid = pid_find(current_pid_ns(), id);
    if (!pid || !pid->pgrp)
        return -ESRCH;
    if (pid->pgrp->session != s)
        return -EPERM;
    s->foreground = pid->pgrp;
    return 0;
}

static long get_session(struct tty *tty, u64 arg)
{
    struct session *s = own_session();

    if (tty->session != s)
        return -ENOTTY;
    return put_user(pid_nr(s->pid, current_pid_ns()), (int __user *)arg);
}

long tty_job_ioctl(struct tty *tty, u32 cmd, u64 arg)
{
    switch (cmd) {
    case TIOCSCTTY:
        return set_controlling(tty, arg);
    case TIOCNOTTY:
        return give_up(tty);
    case TIOCGPGRP:
        return get_foreground(tty, arg);
    case TIOCSPGRP:
        return set_foreground(tty, arg);
    case TIOCGSID:
        return get_session(tty, arg);
    default:
        return -ENOTTY;
    }
}
