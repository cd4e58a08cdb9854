// System calls about namespaces and names: unshare, setns, the host name.

#include <linux/sched.h>
#include <linux/utsname.h>
#include "container/ns/ns.h"
#include "kernel/fs/anon_path.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/task.h"

#define CLONE_NEW_ANY                                                                              \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWCGROUP |  \
     CLONE_NEWNET)
#define UNSHARE_NOTHING                                                                            \
    (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_SYSVSEM) // fine for a process of one thread

static int check_unshare(u64 flags)
{
    struct process *p = current()->process;

    if (flags & ~(CLONE_NEW_ANY | CLONE_FS | CLONE_FILES | UNSHARE_NOTHING))
        return -EINVAL;
    if ((flags & (CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && p->thread_count > 1)
        return -EINVAL;
    if ((flags & (CLONE_SIGHAND | CLONE_VM)) && p->sighand->refs > 1)
        return -EINVAL;
    return 0;
}

// Makes `set` the current one; files follow a new mount namespace.
static int enter_set(struct nsset *set, bool entered)
{
    struct task *t = current();
    struct nsset *old = t->nsset;
    int err = 0;

    t->nsset = set;
    if (set->ns[NS_MNT] != old->ns[NS_MNT] && task_file_ops)
        err = task_file_ops->mnt_ns_changed(old->ns[NS_MNT], entered);
    if (err) {
        t->nsset = old;
        nsset_put(set);
        return err;
    }
    nsset_put(old);
    return 0;
}

static void enter_cred(struct cred *c)
{
    cred_put(current()->cred);
    current()->cred = c;
}

static int unshare_namespaces(u64 flags)
{
    struct task *t = current();
    struct cred *cred = flags & CLONE_NEWUSER ? cred_in_new_user_ns(t->cred) : cred_get(t->cred);

    if (IS_ERR(cred))
        return PTR_ERR(cred);
    struct nsset *set = ERR_PTR(-EPERM);
    if ((flags & CLONE_NEWUSER) || ns_capable(cred->user_ns, CAP_SYS_ADMIN))
        set = nsset_clone(t->nsset, flags, cred->user_ns, t->cgroup);
    int err = IS_ERR(set) ? (int)PTR_ERR(set) : enter_set(set, false);
    if (err) {
        cred_put(cred);
        return err;
    }
    enter_cred(cred);
    return 0;
}

long sys_unshare(u64 flags)
{
    if (flags & CLONE_NEWUSER)
        flags |= CLONE_THREAD | CLONE_FS;
    if (flags & CLONE_NEWNS)
        flags |= CLONE_FS;
    int err = check_unshare(flags);
    if (!err && (flags & (CLONE_FS | CLONE_FILES)) && task_file_ops)
        err = task_file_ops->unshare(flags & (CLONE_FS | CLONE_FILES));
    if (!err && (flags & CLONE_NEW_ANY))
        err = unshare_namespaces(flags & CLONE_NEW_ANY);
    return err;
}

static bool pid_ns_within(const struct pid_ns *ns, const struct pid_ns *ancestor)
{
    while (ns && ns != ancestor)
        ns = ns->parent;
    return ns;
}

static int enter_user_ns(struct user_ns *ns)
{
    struct task *t = current();

    if (ns == t->cred->user_ns || t->process->thread_count > 1)
        return -EINVAL;
    if (!ns_capable(ns, CAP_SYS_ADMIN))
        return -EPERM;
    struct cred *cred = cred_copy(t->cred);
    struct nsset *set = nsset_clone(t->nsset, 0, NULL, NULL);
    if (!cred || IS_ERR(set)) {
        if (cred)
            cred_put(cred);
        return -ENOMEM;
    }
    ns_get(&ns->ns);
    cred_enter_user_ns(cred, ns);
    ns_put(set->ns[NS_USER]);
    set->ns[NS_USER] = ns_get(&ns->ns);
    enter_set(set, true);
    enter_cred(cred);
    return 0;
}

static int may_enter(struct ns *ns)
{
    struct user_ns *mine = current()->cred->user_ns;

    if (!ns_capable(ns->owner, CAP_SYS_ADMIN) || !ns_capable(mine, CAP_SYS_ADMIN))
        return -EPERM;
    if (ns->kind == NS_MNT && !ns_capable(mine, CAP_SYS_CHROOT))
        return -EPERM;
    if (ns->kind == NS_PID && !pid_ns_within(container_of(ns, struct pid_ns, ns), current_pid_ns()))
        return -EINVAL;
    return 0;
}

// Takes ns into the current set: of pid namespaces only for the children to come.
static int enter_ns(struct ns *ns)
{
    struct task *t = current();
    struct nsset *set;
    int err;

    if (ns->kind == NS_USER)
        return enter_user_ns(container_of(ns, struct user_ns, ns));
    err = may_enter(ns);
    if (!err && ns->kind == NS_MNT && task_file_ops)
        err = task_file_ops->unshare(CLONE_FS);
    if (err)
        return err;
    set = nsset_clone(t->nsset, 0, NULL, NULL);
    if (IS_ERR(set))
        return PTR_ERR(set);
    struct ns **slot = ns->kind == NS_PID ? &set->pid_for_children : &set->ns[ns->kind];
    ns_put(*slot);
    *slot = ns_get(ns);
    return enter_set(set, true);
}

long sys_setns(int fd, int nstype)
{
    struct ns *ns = ns_from_fd(fd);

    if (IS_ERR(ns))
        return PTR_ERR(ns);
    int err = nstype && (u32)nstype != ns_clone_flag(ns->kind) ? -EINVAL : enter_ns(ns);
    ns_put(ns);
    return err;
}

static struct uts_ns *uts(void)
{
    return container_of(current()->nsset->ns[NS_UTS], struct uts_ns, ns);
}

long sys_uname(void *buf)
{
    struct new_utsname u;

    memset(&u, 0, sizeof(u));
    strlcpy(u.sysname, "Linux",
            sizeof(u.sysname)); // the ABI's name: programs choose their code by it
    strlcpy(u.nodename, uts()->nodename, sizeof(u.nodename));
    strlcpy(u.release, "6.1.0-vivarium", sizeof(u.release));
    strlcpy(u.version, "#1 SMP Vivarium", sizeof(u.version));
    strlcpy(u.machine, "x86_64", sizeof(u.machine));
    strlcpy(u.domainname, uts()->domainname, sizeof(u.domainname));
    return copy_to_user(buf, &u, sizeof(u));
}

static long set_name(char *to, const char __user *from, size_t len)
{
    char name[__NEW_UTS_LEN + 1] = "";

    if (!ns_capable(uts()->ns.owner, CAP_SYS_ADMIN))
        return -EPERM;
    if (len > __NEW_UTS_LEN)
        return -EINVAL;
    if (copy_from_user(name, from, len))
        return -EFAULT;
    memcpy(to, name, sizeof(name));
    return 0;
}

long sys_sethostname(const char *name, size_t len)
{
    return set_name(uts()->nodename, name, len);
}

long sys_setdomainname(const char *name, size_t len)
{
    return set_name(uts()->domainname, name, len);
}
