// The tree of mounts: finding, attaching, taking away, copying a namespace. See mount.h.
#include <linux/sched.h>
#include "kernel/fs/dentry.h"
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/task/task.h"

#define HASH_SIZE 256

static struct mount *table[HASH_SIZE];
static u32 last_id;

static void mnt_ns_destroy(struct ns *ns);

struct mnt_ns init_mnt_ns = {
    .ns = {.kind = NS_MNT, .refs = 1, .inum = 0xeffffff8, .owner = &init_user_ns},
    .mounts = LIST_INIT(init_mnt_ns.mounts),
};

struct mnt_ns *current_mnt_ns(void)
{
    struct task *t = current();

    if (!t || !t->nsset || !t->nsset->ns[NS_MNT])
        return &init_mnt_ns;
    return container_of(t->nsset->ns[NS_MNT], struct mnt_ns, ns);
}

static bool below(const struct dentry *d, const struct dentry *top)
{
    while (d != top && d != d->parent)
        d = d->parent;
    return d == top;
}

static struct mount **bucket(const struct mount *parent, const struct dentry *d)
{
    u64 mixed = ((u64)parent >> 6) ^ ((u64)d >> 4);
    return &table[(mixed * 0x9e3779b97f4a7c15UL) >> 56];
}
static_assert(HASH_SIZE == 256, "the hash has 8 bits");

struct mount *mount_on(const struct mount *m, const struct dentry *d)
{
    struct mount *on;

    if (!d->mounted)
        return NULL;
    for (on = *bucket(m, d); on; on = on->hash_next)
        if (on->parent == m && on->mountpoint == d)
            return on;
    return NULL;
}

void path_cross_mounts(struct path *p)
{
    struct mount *on;

    while ((on = mount_on(p->mount, p->dentry))) {
        struct path below = *p;
        p->mount = mount_get(on);
        p->dentry = dentry_get(on->root);
        path_put(&below);
    }
}

void path_up(struct path *p, const struct path *root)
{
    struct path old = *p;
    struct mount *m = p->mount;
    struct dentry *d = p->dentry;

    for (;;) {
        if (m == root->mount && d == root->dentry)
            break;
        if (d != m->root) {
            // A directory that was moved out of what a bind mount shows has nothing above it.
            if (m->root == m->super->root || below(d, m->root))
                d = d->parent;
            break;
        }
        if (!m->parent)
            break;
        d = m->mountpoint;
        m = m->parent;
    }
    p->mount = mount_get(m);
    p->dentry = dentry_get(d);
    path_put(&old);
    path_cross_mounts(p);
}

int mount_want_write(const struct mount *m)
{
    return (m->flags | m->super->flags) & MS_RDONLY ? -EROFS : 0;
}

struct mount *mount_new(struct super *s, struct dentry *root, const char *source, u32 flags)
{
    struct mount *m = kzalloc_charged(sizeof(*m));

    if (!m)
        return NULL;
    m->id = ++last_id;
    m->refs = 1;
    m->super = s;
    s->refs++;
    m->root = dentry_get(root);
    m->flags = flags;
    strlcpy(m->source, source, sizeof(m->source));
    list_init(&m->children);
    list_init(&m->child_link);
    list_init(&m->link);
    return m;
}

void mount_put(struct mount *m)
{
    if (--m->refs)
        return;
    dentry_put(m->root);
    super_put(m->super);
    kfree(m);
}

static void hook(struct mount *m, struct mount *parent, struct dentry *mountpoint)
{
    struct mount **b = bucket(parent, mountpoint);

    m->parent = mount_get(parent);
    m->mountpoint = dentry_get(mountpoint);
    mountpoint->mounted++;
    m->hash_next = *b;
    *b = m;
    list_append(&parent->children, &m->child_link);
}

static void unhook(struct mount *m)
{
    struct mount **b, *parent = m->parent;

    if (!parent)
        return;
    for (b = bucket(parent, m->mountpoint); *b != m;)
        b = &(*b)->hash_next;
    *b = m->hash_next;
    list_remove(&m->child_link);
    m->mountpoint->mounted--;
    dentry_put(m->mountpoint);
    m->parent = NULL;
    m->mountpoint = NULL;
    mount_put(parent);
}

struct mount *mount_next(struct mount *pos, struct mount *top)
{
    if (!list_empty(&pos->children))
        return list_first(&pos->children, struct mount, child_link);
    for (; pos != top; pos = pos->parent)
        if (pos->child_link.next != &pos->parent->children)
            return list_entry(pos->child_link.next, struct mount, child_link);
    return NULL;
}

static void set_ns(struct mount *m, struct mnt_ns *ns)
{
    if (m->mnt_ns) {
        list_remove(&m->link);
        m->mnt_ns->count--;
    }
    m->mnt_ns = ns;
    if (ns) {
        list_append(&ns->mounts, &m->link);
        ns->count++;
    }
}

static void set_ns_tree(struct mount *top, struct mnt_ns *ns)
{
    for (struct mount *m = top; m; m = mount_next(m, top))
        set_ns(m, ns);
}

int mount_attach(struct mount *m, const struct path *place)
{
    struct mnt_ns *ns = place->mount->mnt_ns;
    u32 n = 0;

    for (struct mount *pos = m; pos; pos = mount_next(pos, m))
        n++;
    if (!ns || place->dentry->deleted)
        return -ENOENT;
    if (ns->count + n > MOUNT_MAX)
        return -ENOSPC;
    unhook(m);
    hook(m, place->mount, place->dentry);
    if (m->mnt_ns != ns)
        set_ns_tree(m, ns);
    return 0;
}

void mount_detach_tree(struct mount *top)
{
    struct mount *m = top;

    for (;;) {
        while (!list_empty(&m->children))
            m = list_first(&m->children, struct mount, child_link);
        struct mount *parent = m->parent;
        bool last = m == top;
        unhook(m);
        set_ns(m, NULL);
        mount_put(m);
        if (last)
            return;
        m = parent;
    }
}

void mount_swap_root(struct mount *new_root, struct mount *root, const struct path *old)
{
    struct mount *parent = root->parent;
    struct dentry *place = root->mountpoint;
    bool locked = root->locked;

    mount_get(root);
    unhook(new_root);
    if (parent) {
        mount_get(parent);
        dentry_get(place);
        unhook(root);
        hook(new_root, parent, place);
        dentry_put(place);
        mount_put(parent);
    } else
        root->mnt_ns->root = new_root;
    hook(root, old->mount, old->dentry);
    root->locked = new_root->locked;
    new_root->locked = locked;
    mount_put(root);
}

static struct mount *copy_one(struct mount *m, struct dentry *root)
{
    struct mount *copy = mount_new(m->super, root, m->source, m->flags);

    if (copy) {
        copy->locked_flags = m->locked_flags;
        copy->locked = m->locked;
        copy->copied_from = m->id;
    }
    return copy;
}

// Copies the children of `from` that lie below its dentry `root` (or all of them) onto `to`, and so
// on.
static int copy_children(struct mount *from, struct mount *to)
{
    struct mount *m;

    list_for_each (m, &from->children, child_link) {
        if (!below(m->mountpoint, to->root))
            continue;
        struct mount *copy = copy_one(m, m->root);
        if (!copy)
            return -ENOMEM;
        hook(copy, to, m->mountpoint);
        int err = copy_children(m, copy);
        if (err)
            return err;
    }
    return 0;
}

struct mount *mount_copy_tree(struct mount *m, struct dentry *root, bool recursive)
{
    struct mount *copy = copy_one(m, root);

    if (!copy)
        return ERR_PTR(-ENOMEM);
    int err = recursive ? copy_children(m, copy) : 0;
    if (err) {
        mount_detach_tree(copy);
        return ERR_PTR(err);
    }
    return copy;
}

// Mounts from a more privileged namespace keep their restrictions, and what they hide stays hidden.
static void lock_tree(struct mount *top)
{
    for (struct mount *m = top; m; m = mount_next(m, top)) {
        m->locked_flags |= m->flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
        m->locked = m != top;
    }
}

struct ns *mnt_ns_clone(struct ns *old, struct user_ns *owner)
{
    struct mnt_ns *from = container_of(old, struct mnt_ns, ns);
    struct mnt_ns *ns = kzalloc(sizeof(*ns));

    if (!ns)
        return ERR_PTR(-ENOMEM);
    struct mount *root = mount_copy_tree(from->root, from->root->root, true);
    if (IS_ERR(root)) {
        kfree(ns);
        return (void *)root;
    }
    ns_setup(&ns->ns, NS_MNT, owner, mnt_ns_destroy);
    list_init(&ns->mounts);
    ns->root = root;
    set_ns_tree(root, ns);
    if (owner != old->owner)
        lock_tree(root);
    return &ns->ns;
}

static void mnt_ns_destroy(struct ns *ns)
{
    struct mnt_ns *mnt = container_of(ns, struct mnt_ns, ns);

    mount_detach_tree(mnt->root);
    kfree(mnt);
}

void path_translate(struct path *p, struct mnt_ns *ns)
{
    struct mount *m;

    list_for_each (m, &ns->mounts, link) {
        if (m->copied_from != p->mount->id)
            continue;
        struct mount *old = p->mount;
        p->mount = mount_get(m);
        mount_put(old);
        return;
    }
}
