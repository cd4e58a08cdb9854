// Inodes: life, permission, times.
#include "kernel/fs/vfs.h"
#include "container/ns/ns.h"
#include "kernel/fs/pipe.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/vmobject.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"

static u64 anonymous_ino = 1;

struct timespec_k time_now(void)
{
    u64 ns = clock_ns() + clock_realtime_offset();
    return (struct timespec_k){ns / NSEC_PER_SEC, ns % NSEC_PER_SEC};
}

void inode_touch(struct inode *i)
{
    i->mtime = i->ctime = time_now();
}

static const struct cred *current_cred(void)
{
    return current() ? current()->cred : NULL;
}

struct inode *inode_new(struct super *s, u32 mode)
{
    const struct cred *cred = current_cred();
    struct inode *i = kzalloc_charged(sizeof(*i));

    if (!i)
        return NULL;
    i->super = s;
    i->ino = s ? s->next_ino++ : anonymous_ino++;
    i->mode = mode;
    i->uid = cred ? cred->fsuid : 0;
    i->gid = cred ? cred->fsgid : 0;
    i->nlink = i->refs = 1;
    i->atime = i->mtime = i->ctime = time_now();
    return i;
}

void inode_put(struct inode *i)
{
    if (!i || --i->refs)
        return;
    if (i->ops && i->ops->evict)
        i->ops->evict(i);
    if (i->mapping)
        vmobject_put(i->mapping);
    if (i->pipe)
        pipe_free(i->pipe);
    kfree(i->locks);
    kfree(i->records);
    kfree(i);
}

void inode_drop_privilege(struct inode *i)
{
    u32 drop = (i->mode & S_ISUID) | (i->mode & S_IXGRP ? i->mode & S_ISGID : 0);

    if (!drop || !S_ISREG(i->mode) || !current_cred() || capable(CAP_FSETID))
        return;
    i->mode &= ~drop;
    if (i->ops->setattr)
        i->ops->setattr(i);
}

static bool in_group(const struct cred *cred, u32 gid)
{
    if (cred->fsgid == gid)
        return true;
    for (u32 n = 0; n < cred->ngroups; n++)
        if (cred->groups[n] == gid)
            return true;
    return false;
}

static bool id_mapped(const struct user_ns *ns, bool gid, u32 id)
{
    return ns == &init_user_ns || map_id_in(ns, gid, map_id_out(ns, gid, id)) == id;
}

// capabilities(7): a capability counts for a file whose owner exists in the holder's user
// namespace.
bool inode_capable(struct inode *i, int cap)
{
    const struct cred *cred = current_cred();

    return !cred || (ns_capable(cred->user_ns, cap) && id_mapped(cred->user_ns, false, i->uid) &&
                     id_mapped(cred->user_ns, true, i->gid));
}

bool inode_owner(struct inode *i)
{
    const struct cred *cred = current_cred();

    return !cred || cred->fsuid == i->uid || inode_capable(i, CAP_FOWNER);
}

int inode_permission(struct inode *i, int may)
{
    const struct cred *cred = current_cred();
    u32 mode = i->mode;

    if (!cred)
        return 0;
    if (cred->fsuid == i->uid)
        mode >>= 6;
    else if (in_group(cred, i->gid))
        mode >>= 3;
    if ((mode & may) == (u32)may)
        return 0;
    // Root may do all, but execute only what somebody may.
    if ((S_ISDIR(i->mode) || !(may & MAY_EXEC) || (i->mode & 0111)) &&
        inode_capable(i, CAP_DAC_OVERRIDE))
        return 0;
    if ((may == MAY_READ || (S_ISDIR(i->mode) && !(may & MAY_WRITE))) &&
        inode_capable(i, CAP_DAC_READ_SEARCH))
        return 0;
    return -EACCES;
}
