// System calls about credentials. Ids come and go as the caller's user namespace shows them.

#include <linux/capability.h>
#include <linux/securebits.h>
#include "container/ns/ns.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/task.h"

#define KEEP ((u32)-1) // "leave as it is" in setresuid and setreuid

static u32 out(bool gid, u32 id)
{
    return map_id_out(current()->cred->user_ns, gid, id);
}

long sys_getuid(void)
{
    return out(false, current()->cred->uid);
}

long sys_geteuid(void)
{
    return out(false, current()->cred->euid);
}

long sys_getgid(void)
{
    return out(true, current()->cred->gid);
}

long sys_getegid(void)
{
    return out(true, current()->cred->egid);
}

long sys_getresuid(u32 *ruid, u32 *euid, u32 *suid)
{
    const struct cred *c = current()->cred;

    if (put_user(out(false, c->uid), ruid) || put_user(out(false, c->euid), euid))
        return -EFAULT;
    return put_user(out(false, c->suid), suid);
}

long sys_getresgid(u32 *rgid, u32 *egid, u32 *sgid)
{
    const struct cred *c = current()->cred;

    if (put_user(out(true, c->gid), rgid) || put_user(out(true, c->egid), egid))
        return -EFAULT;
    return put_user(out(true, c->sgid), sgid);
}

static void commit(struct cred *new)
{
    struct cred *old = current()->cred;

    if (new->euid != old->euid || new->egid != old->egid)
        current()->process->dumpable = false;
    current()->cred = new;
    cred_put(old);
}

// Going from or to uid 0 changes capabilities: capabilities(7), "Effect of user ID changes".
static void fix_caps(struct cred *new, const struct cred *old)
{
    u32 root = map_id_in(new->user_ns, false, 0);

    if (new->securebits & issecure_mask(SECURE_NO_SETUID_FIXUP))
        return;
    bool had = old->uid == root || old->euid == root || old->suid == root;
    bool has = new->uid == root || new->euid == root || new->suid == root;
    if (had && !has) {
        if (!new->keep_caps)
            new->cap_permitted = new->cap_effective = 0;
        new->cap_ambient = 0;
    }
    if (old->euid == root && new->euid != root)
        new->cap_effective = 0;
    if (old->euid != root && new->euid == root)
        new->cap_effective = new->cap_permitted;
}

// The three ids of a kind as in setresuid; KEEP leaves one. Without the capability only values that
// are among them already.
struct ids {
    u32 *real, *effective, *saved, *fs;
};

static struct ids ids_of(struct cred *c, bool gid)
{
    if (gid)
        return (struct ids){&c->gid, &c->egid, &c->sgid, &c->fsgid};
    return (struct ids){&c->uid, &c->euid, &c->suid, &c->fsuid};
}

static bool among(const struct ids *ids, u32 id)
{
    return id == *ids->real || id == *ids->effective || id == *ids->saved;
}

// Maps *id (not KEEP) and checks that current may take it.
static long take_id(const struct ids *old, bool gid, bool privileged, u32 *id)
{
    if (*id == KEEP)
        return 0;
    *id = map_id_in(current()->cred->user_ns, gid, *id);
    if (*id == KEEP)
        return -EINVAL;
    return privileged || among(old, *id) ? 0 : -EPERM;
}

static long set_ids(bool gid, u32 real, u32 effective, u32 saved)
{
    struct cred *old = current()->cred;
    struct ids had = ids_of(old, gid);
    bool privileged = ns_capable(old->user_ns, gid ? CAP_SETGID : CAP_SETUID);
    long err = take_id(&had, gid, privileged, &real);

    if (!err)
        err = take_id(&had, gid, privileged, &effective);
    if (!err)
        err = take_id(&had, gid, privileged, &saved);
    if (err)
        return err;
    struct cred *new = cred_copy(old);
    if (!new)
        return -ENOMEM;
    struct ids has = ids_of(new, gid);
    if (real != KEEP)
        *has.real = real;
    if (effective != KEEP)
        *has.effective = effective;
    if (saved != KEEP)
        *has.saved = saved;
    *has.fs = *has.effective;
    if (!gid)
        fix_caps(new, old);
    commit(new);
    return 0;
}

// setuid(2): with the capability all three, else the effective one.
static long set_id(bool gid, u32 id)
{
    bool privileged = ns_capable(current()->cred->user_ns, gid ? CAP_SETGID : CAP_SETUID);

    if (id == KEEP)
        return -EINVAL;
    return privileged ? set_ids(gid, id, id, id) : set_ids(gid, KEEP, id, KEEP);
}

// setreuid(2): the saved id follows the effective one if the real one is set, or the effective
// becomes another than the real.
static long set_real_effective(bool gid, u32 real, u32 effective)
{
    struct ids had = ids_of(current()->cred, gid);
    u32 saved = KEEP;

    if (real != KEEP ||
        (effective != KEEP && map_id_in(current()->cred->user_ns, gid, effective) != *had.real))
        saved = effective != KEEP ? effective : out(gid, *had.effective);
    return set_ids(gid, real, effective, saved);
}

long sys_setuid(u32 uid)
{
    return set_id(false, uid);
}

long sys_setgid(u32 gid)
{
    return set_id(true, gid);
}

long sys_setreuid(u32 ruid, u32 euid)
{
    return set_real_effective(false, ruid, euid);
}

long sys_setregid(u32 rgid, u32 egid)
{
    return set_real_effective(true, rgid, egid);
}

long sys_setresuid(u32 ruid, u32 euid, u32 suid)
{
    return set_ids(false, ruid, euid, suid);
}

long sys_setresgid(u32 rgid, u32 egid, u32 sgid)
{
    return set_ids(true, rgid, egid, sgid);
}

// Returns the old id, as it fails.
static long set_fs_id(bool gid, u32 id)
{
    struct cred *old = current()->cred;
    struct ids had = ids_of(old, gid);
    long before = out(gid, *had.fs);
    u32 kernel_id = map_id_in(old->user_ns, gid, id);

    if (kernel_id == KEEP || !(among(&had, kernel_id) || kernel_id == *had.fs ||
                               ns_capable(old->user_ns, gid ? CAP_SETGID : CAP_SETUID)))
        return before;
    struct cred *new = cred_copy(old);
    if (!new)
        return before;
    *ids_of(new, gid).fs = kernel_id;
    commit(new);
    return before;
}

long sys_setfsuid(u32 uid)
{
    return set_fs_id(false, uid);
}

long sys_setfsgid(u32 gid)
{
    return set_fs_id(true, gid);
}

long sys_getgroups(int size, u32 *list)
{
    const struct cred *c = current()->cred;

    if (size < 0)
        return -EINVAL;
    if (!size)
        return c->ngroups;
    if ((u32)size < c->ngroups)
        return -EINVAL;
    for (u32 i = 0; i < c->ngroups; i++) {
        if (put_user(out(true, c->groups[i]), list + i))
            return -EFAULT;
    }
    return c->ngroups;
}

long sys_setgroups(int size, const u32 *list)
{
    struct cred *old = current()->cred;
    u32 groups[CRED_MAX_GROUPS];

    if (!ns_capable(old->user_ns, CAP_SETGID) || old->user_ns->setgroups_denied ||
        !old->user_ns->gid_map.count)
        return -EPERM;
    if (size < 0 || size > CRED_MAX_GROUPS)
        return -EINVAL;
    if (copy_from_user(groups, list, size * sizeof(u32)))
        return -EFAULT;
    for (int i = 0; i < size; i++) {
        groups[i] = map_id_in(old->user_ns, true, groups[i]);
        if (groups[i] == KEEP)
            return -EINVAL;
    }
    struct cred *new = cred_copy(old);
    if (!new)
        return -ENOMEM;
    new->ngroups = size;
    memcpy(new->groups, groups, size * sizeof(u32));
    commit(new);
    return 0;
}

// Reads the header: how many words of 32 capabilities the caller means (1 or 2), 0 after telling
// our version, or -errno.
static int read_header(void __user *uheader, struct __user_cap_header_struct *header, bool probe)
{
    if (copy_from_user(header, uheader, sizeof(*header)))
        return -EFAULT;
    switch (header->version) {
    case _LINUX_CAPABILITY_VERSION_1:
        return _LINUX_CAPABILITY_U32S_1;
    case _LINUX_CAPABILITY_VERSION_2:
    case _LINUX_CAPABILITY_VERSION_3:
        return _LINUX_CAPABILITY_U32S_3;
    default:
        header->version = _LINUX_CAPABILITY_VERSION_3;
        if (copy_to_user(uheader, header, sizeof(*header)))
            return -EFAULT;
        return probe ? 0 : -EINVAL;
    }
}

long sys_capget(void *uheader, void *udata)
{
    struct __user_cap_header_struct header;
    struct __user_cap_data_struct data[2];
    int words = read_header(uheader, &header, !udata);

    if (words <= 0)
        return words;
    if (header.pid < 0)
        return -EINVAL;
    struct task *t = header.pid ? task_find(header.pid) : current();
    if (!t)
        return -ESRCH;
    for (int i = 0; i < 2; i++) {
        data[i].effective = t->cred->cap_effective >> (32 * i);
        data[i].permitted = t->cred->cap_permitted >> (32 * i);
        data[i].inheritable = t->cred->cap_inheritable >> (32 * i);
    }
    return copy_to_user(udata, data, words * sizeof(data[0]));
}

static bool subset(u64 a, u64 b)
{
    return !(a & ~b);
}

long sys_capset(void *uheader, const void *udata)
{
    struct __user_cap_header_struct header;
    struct __user_cap_data_struct data[2] = {};
    struct cred *old = current()->cred;
    int words = read_header(uheader, &header, false);

    if (words <= 0)
        return words;
    if (header.pid && header.pid != pid_nr(current()->pid, current_pid_ns()))
        return -EPERM;
    if (copy_from_user(data, udata, words * sizeof(data[0])))
        return -EFAULT;
    u64 effective = data[0].effective | (u64)data[1].effective << 32;
    u64 permitted = data[0].permitted | (u64)data[1].permitted << 32;
    u64 inheritable = data[0].inheritable | (u64)data[1].inheritable << 32;
    if (!subset(permitted, old->cap_permitted) || !subset(effective, permitted))
        return -EPERM;
    if (!subset(inheritable, old->cap_inheritable | old->cap_bounding))
        return -EPERM;
    if (!ns_capable(old->user_ns, CAP_SETPCAP) &&
        !subset(inheritable, old->cap_inheritable | old->cap_permitted))
        return -EPERM;
    struct cred *new = cred_copy(old);
    if (!new)
        return -ENOMEM;
    new->cap_effective = effective;
    new->cap_permitted = permitted;
    new->cap_inheritable = inheritable;
    new->cap_ambient &= permitted &inheritable;
    commit(new);
    return 0;
}
