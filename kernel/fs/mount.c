// mount(2), umount2(2), pivot_root(2).
#include "kernel/fs/mount.h"
#include "kernel/fs/dentry.h"
#include "kernel/fs/fdtable.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/task/task.h"

#define MNT_FLAGS                                                                                  \
    (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME)
#define PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

static bool may_mount(void)
{
    return !current() || !current()->cred || ns_capable(current_mnt_ns()->ns.owner, CAP_SYS_ADMIN);
}

static bool host_admin(void)
{
    return !current() || !current()->cred || capable(CAP_SYS_ADMIN);
}

static int lookup_place(const char *name, u32 flags, struct path *p)
{
    int err = path_lookup_at(AT_FDCWD, name, flags, p);

    if (!err)
        path_cross_mounts(p);
    return err;
}

static bool is_mount_root(const struct path *p)
{
    return p->dentry == p->mount->root && p->mount->mnt_ns == current_mnt_ns();
}

// Puts a tree of mounts on a place, and drops the reference to it on failure.
static long attach(struct mount *m, const struct path *place)
{
    bool directory = S_ISDIR(place->dentry->inode->mode);
    long err = S_ISDIR(m->root->inode->mode) == directory ? mount_attach(m, place) : -ENOTDIR;

    if (err)
        mount_detach_tree(m);
    return err;
}

// True if a new instance would show what the namespace's older ones are kept from showing: a mount
// on them that cannot be taken away, or a write protection.
static bool too_revealing(const struct fs_type *fs, u64 flags)
{
    struct mount *m, *child;

    list_for_each (m, &current_mnt_ns()->mounts, link) {
        bool whole = m->super->type == fs && m->root == m->super->root &&
                     !(m->locked_flags & MS_RDONLY & ~flags);
        list_for_each (child, &m->children, child_link)
            whole = whole && !child->locked;
        if (whole)
            return false;
    }
    return true;
}

static long new_mount(const struct path *place, const char *source, const char *type, u64 flags,
                      const char *options)
{
    struct fs_type *fs = fs_find(type);

    if (!fs)
        return -ENODEV;
    if (!host_admin() && (!fs->userns_mount || (fs->reveals && too_revealing(fs, flags))))
        return -EPERM;
    struct super *s = fs->mount(fs, source, flags, options);
    if (IS_ERR(s))
        return PTR_ERR(s);
    struct mount *m = mount_new(s, s->root, *source ? source : "none", flags & MNT_FLAGS);
    super_put(s);
    return m ? attach(m, place) : -ENOMEM;
}

static bool within(const struct dentry *d, const struct dentry *top)
{
    while (d != top && d != d->parent)
        d = d->parent;
    return d == top;
}

// A bind mount of a part must not uncover what a more privileged namespace has hidden.
static bool hides_locked(const struct path *p)
{
    struct mount *m;

    list_for_each (m, &p->mount->children, child_link)
        if (m->locked && within(m->mountpoint, p->dentry))
            return true;
    return false;
}

static long bind(const struct path *place, const char *source, u64 flags)
{
    struct path from;
    long err = lookup_place(source, LOOKUP_FOLLOW, &from);

    if (err)
        return err;
    if (!(flags & MS_REC) && hides_locked(&from))
        err = -EINVAL;
    struct mount *m = err ? ERR_PTR(err) : mount_copy_tree(from.mount, from.dentry, flags & MS_REC);
    path_put(&from);
    if (IS_ERR(m))
        return PTR_ERR(m);
    m->locked = false;
    return attach(m, place);
}

static long move(const struct path *place, const char *source)
{
    struct path from;
    long err = lookup_place(source, LOOKUP_FOLLOW, &from);

    if (err)
        return err;
    struct mount *m = from.mount, *above = place->mount;
    while (above && above != m)
        above = above->parent;
    if (!is_mount_root(&from) || !m->parent || m->locked)
        err = -EINVAL;
    else if (above)
        err = -ELOOP;
    else if (S_ISDIR(m->root->inode->mode) != S_ISDIR(place->dentry->inode->mode))
        err = -ENOTDIR;
    else
        err = mount_attach(m, place);
    path_put(&from);
    return err;
}

static long remount(const struct path *p, u64 flags, const char *options)
{
    struct mount *m = p->mount;
    struct super *s = m->super;
    u32 wanted = flags & MNT_FLAGS;

    if (!is_mount_root(p))
        return -EINVAL;
    if (m->locked_flags & ~wanted)
        return -EPERM;
    if ((wanted & MS_RDONLY) && m->writers)
        return -EBUSY;
    if (!(flags & MS_BIND)) {
        if (current() && current()->cred && !ns_capable(s->user_ns, CAP_SYS_ADMIN))
            return -EPERM;
        int err = *options && s->type->remount ? s->type->remount(s, options) : 0;
        if (err)
            return err;
    }
    m->flags = (m->flags & ~MNT_FLAGS) | wanted;
    return 0;
}

long do_mount(const char *source, const char *target, const char *type, u64 flags,
              const char *options)
{
    struct path place;

    if (!may_mount())
        return -EPERM;
    if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
        flags &= ~MS_MGC_MSK;
    long err = lookup_place(target, LOOKUP_FOLLOW, &place);
    if (err)
        return err;
    if (place.mount->mnt_ns != current_mnt_ns())
        err = -EINVAL;
    else if (flags & MS_REMOUNT)
        err = remount(&place, flags, options);
    else if (flags & MS_BIND)
        err = bind(&place, source, flags);
    else if (flags & PROPAGATION)
        err = is_mount_root(&place) ? 0 : -EINVAL;
    else if (flags & MS_MOVE)
        err = move(&place, source);
    else
        err = new_mount(&place, source, type, flags, options);
    path_put(&place);
    return err;
}

static long umount_path(const struct path *p, int flags)
{
    struct mount *m = p->mount;

    if (!is_mount_root(p) || m->locked)
        return -EINVAL;
    if (m == m->mnt_ns->root)
        return -EBUSY;
    // One reference is the tree's, one the path's.
    if (!(flags & MNT_DETACH_K) && (!list_empty(&m->children) || m->refs > 2))
        return -EBUSY;
    mount_detach_tree(m);
    return 0;
}

long do_umount(const char *target, int flags)
{
    struct path p;

    if (flags & ~(1 | MNT_DETACH_K | UMOUNT_NOFOLLOW_K))
        return -EINVAL;
    if (!may_mount())
        return -EPERM;
    long err = lookup_place(target, flags & UMOUNT_NOFOLLOW_K ? 0 : LOOKUP_FOLLOW, &p);
    if (err)
        return err;
    err = umount_path(&p, flags);
    path_put(&p);
    return err;
}

// True if p is top or below it, seen over mounts.
static bool path_below(const struct path *p, const struct path *top)
{
    const struct mount *m = p->mount;
    const struct dentry *d = p->dentry;

    while (m != top->mount) {
        if (!m->parent)
            return false;
        d = m->mountpoint;
        m = m->parent;
    }
    return within(d, top->dentry);
}

static int may_pivot(const struct path *new, const struct path *old, const struct path *root)
{
    if (!is_mount_root(new) || !is_mount_root(root) || old->mount->mnt_ns != current_mnt_ns())
        return -EINVAL;
    if (new->mount == root->mount || old->mount == root->mount)
        return -EBUSY;
    if (!new->mount->parent || new->mount->locked || old->dentry->deleted)
        return -EINVAL;
    return path_below(old, new) && path_below(new, root) ? 0 : -EINVAL;
}

static void replace(struct path *p, const struct path *from, const struct path *to)
{
    if (p->mount != from->mount || p->dentry != from->dentry)
        return;
    path_get(to);
    path_put(p);
    *p = *to;
}

// Tasks that had the old root as theirs go along.
static void move_tasks(const struct path *from, const struct path *to)
{
    struct task *t;

    list_for_each (t, &all_tasks, all_link) {
        if (!t->fs)
            continue;
        replace(&t->fs->root, from, to);
        replace(&t->fs->cwd, from, to);
    }
}

long do_pivot_root(const char *new_root, const char *put_old)
{
    struct path new, old, root = fs_current()->root;

    if (!may_mount())
        return -EPERM;
    long err = lookup_place(new_root, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &new);
    if (err)
        return err;
    err = lookup_place(put_old, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &old);
    if (!err) {
        path_get(&root);
        err = may_pivot(&new, &old, &root);
        if (!err) {
            mount_swap_root(new.mount, root.mount, &old);
            move_tasks(&root, &new);
        }
        path_put(&root);
        path_put(&old);
    }
    path_put(&new);
    return err;
}
