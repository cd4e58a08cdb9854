// Namespaces and the sets of them that tasks point at. The first of each kind is static and never
// freed.

#include "container/ns/ns.h"
#include <linux/sched.h>
#include "container/cgroup/cgroup.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"

#define NS_INUM_DYNAMIC 0xf0000000 // Linux's first number for namespaces made at run time

struct ns *(*mnt_ns_clone_hook)(struct ns *old, struct user_ns *owner);

static const struct {
    const char *name;
    u32 flag;
} kinds[NS_KINDS] = {
    [NS_MNT] = {"mnt", CLONE_NEWNS},     [NS_UTS] = {"uts", CLONE_NEWUTS},
    [NS_IPC] = {"ipc", CLONE_NEWIPC},    [NS_PID] = {"pid", CLONE_NEWPID},
    [NS_USER] = {"user", CLONE_NEWUSER}, [NS_CGROUP] = {"cgroup", CLONE_NEWCGROUP},
    [NS_NET] = {"net", CLONE_NEWNET},    [NS_TIME] = {"time", CLONE_NEWTIME},
};

static u64 next_inum = NS_INUM_DYNAMIC + 1;

static struct uts_ns init_uts_ns = {
    .ns = {NS_UTS, 1, 0xeffffffe, &init_user_ns, NULL},
    .nodename = "vivarium",
    .domainname = "(none)",
};
static struct ipc_ns init_ipc_ns = {.ns = {NS_IPC, 1, 0xefffffff, &init_user_ns, NULL}};
static struct net_ns init_net_ns = {.ns = {NS_NET, 1, NS_INUM_DYNAMIC, &init_user_ns, NULL}};
static struct cgroup_ns init_cgroup_ns = {.ns = {NS_CGROUP, 1, 0xeffffffb, &init_user_ns, NULL}};
struct pid_ns init_pid_ns = {.ns = {NS_PID, 1, 0xeffffffc, &init_user_ns, NULL}};
struct user_ns init_user_ns = {
    .ns = {NS_USER, 1, 0xeffffffd, &init_user_ns, NULL},
    .uid_map = {0, 0, UINT32_MAX},
    .gid_map = {0, 0, UINT32_MAX},
};

struct nsset init_nsset = {
    .refs = 1,
    .ns = {[NS_UTS] = &init_uts_ns.ns,
           [NS_IPC] = &init_ipc_ns.ns,
           [NS_PID] = &init_pid_ns.ns,
           [NS_USER] = &init_user_ns.ns,
           [NS_CGROUP] = &init_cgroup_ns.ns,
           [NS_NET] = &init_net_ns.ns},
    .pid_for_children = &init_pid_ns.ns,
};

void ns_init(void)
{
    init_cgroup_ns.root = &cgroup_root;
}

struct ns *ns_get(struct ns *ns)
{
    if (ns)
        ns->refs++;
    return ns;
}

void ns_put(struct ns *ns)
{
    if (!ns || --ns->refs || !ns->destroy)
        return;
    struct user_ns *owner = ns->owner;
    ns->destroy(ns);
    ns_put(&owner->ns);
}

void ns_setup(struct ns *ns, enum ns_kind kind, struct user_ns *owner, void (*destroy)(struct ns *))
{
    *ns = (struct ns){kind, 1, next_inum++, owner, destroy};
    ns_get(&owner->ns);
}

const char *ns_name(enum ns_kind kind)
{
    return kinds[kind].name;
}

u32 ns_clone_flag(enum ns_kind kind)
{
    return kinds[kind].flag;
}

static void plain_destroy(struct ns *ns) // the head comes first in each kind
{
    kfree(ns);
}

static struct ns *uts_ns_create(struct uts_ns *old, struct user_ns *owner)
{
    struct uts_ns *new = kmalloc(sizeof(*new));

    if (!new)
        return ERR_PTR(-ENOMEM);
    *new = *old;
    ns_setup(&new->ns, NS_UTS, owner, plain_destroy);
    return &new->ns;
}

// Of a kind that holds nothing of its own.
static struct ns *plain_ns_create(enum ns_kind kind, struct user_ns *owner)
{
    struct ns *new = kzalloc(sizeof(*new));

    if (!new)
        return ERR_PTR(-ENOMEM);
    ns_setup(new, kind, owner, plain_destroy);
    return new;
}

static void cgroup_ns_destroy(struct ns *ns)
{
    cgroup_put(container_of(ns, struct cgroup_ns, ns)->root);
    kfree(ns);
}

static struct ns *cgroup_ns_create(struct cgroup *root, struct user_ns *owner)
{
    struct cgroup_ns *new = kzalloc(sizeof(*new));

    if (!new)
        return ERR_PTR(-ENOMEM);
    ns_setup(&new->ns, NS_CGROUP, owner, cgroup_ns_destroy);
    new->root = cgroup_get(root);
    return &new->ns;
}

static void pid_ns_destroy(struct ns *ns)
{
    struct pid_ns *pns = container_of(ns, struct pid_ns, ns);

    for (size_t i = 0; i < ARRAY_SIZE(pns->table); i++)
        kfree(pns->table[i]);
    ns_put(&pns->parent->ns);
    kfree(pns);
}

static struct ns *pid_ns_create(struct pid_ns *parent, struct user_ns *owner)
{
    if (parent->level + 1 >= PID_NS_MAX_LEVEL)
        return ERR_PTR(-ENOSPC);
    struct pid_ns *new = kzalloc(sizeof(*new));
    if (!new)
        return ERR_PTR(-ENOMEM);
    ns_setup(&new->ns, NS_PID, owner, pid_ns_destroy);
    ns_get(&parent->ns);
    new->parent = parent;
    new->level = parent->level + 1;
    return &new->ns;
}

static void user_ns_destroy(struct ns *ns) // its parent is its owner: ns_put drops it
{
    kfree(ns);
}

struct user_ns *user_ns_create(struct user_ns *parent, u32 uid, u32 gid)
{
    if (parent->level >= 32)
        return ERR_PTR(-ENOSPC);
    struct user_ns *new = kzalloc(sizeof(*new));
    if (!new)
        return ERR_PTR(-ENOMEM);
    ns_setup(&new->ns, NS_USER, parent, user_ns_destroy);
    new->parent = parent;
    new->level = parent->level + 1;
    new->owner_uid = uid;
    new->owner_gid = gid;
    new->setgroups_denied = parent->setgroups_denied;
    return new;
}

struct nsset *nsset_get(struct nsset *set)
{
    set->refs++;
    return set;
}

void nsset_put(struct nsset *set)
{
    if (!set || --set->refs)
        return;
    for (int i = 0; i < NS_KINDS; i++)
        ns_put(set->ns[i]);
    ns_put(set->pid_for_children);
    kfree(set);
}

static struct ns *clone_one(enum ns_kind kind, struct nsset *set, struct user_ns *owner,
                            struct cgroup *root)
{
    struct ns *old = set->ns[kind];

    switch (kind) {
    case NS_MNT:
        return mnt_ns_clone_hook ? mnt_ns_clone_hook(old, owner) : ERR_PTR(-EINVAL);
    case NS_UTS:
        return uts_ns_create(container_of(old, struct uts_ns, ns), owner);
    case NS_IPC:
    case NS_NET:
        return plain_ns_create(kind, owner);
    case NS_CGROUP:
        return cgroup_ns_create(root, owner);
    default:
        return ERR_PTR(-EINVAL);
    }
}

struct nsset *nsset_clone(struct nsset *set, u64 flags, struct user_ns *owner,
                          struct cgroup *cgroup_root_for_ns)
{
    struct nsset *new = kzalloc(sizeof(*new));
    struct ns *ns;

    if (!new)
        return ERR_PTR(-ENOMEM);
    new->refs = 1;
    for (int kind = 0; kind < NS_KINDS; kind++) {
        bool fresh = (flags & kinds[kind].flag) && kind != NS_PID;
        if (fresh && kind == NS_USER)
            ns = ns_get(&owner->ns);
        else if (fresh)
            ns = clone_one(kind, set, owner, cgroup_root_for_ns);
        else
            ns = ns_get(set->ns[kind]);
        if (IS_ERR(ns))
            goto fail;
        new->ns[kind] = ns;
    }
    ns = flags & CLONE_NEWPID
             ? pid_ns_create(container_of(set->pid_for_children, struct pid_ns, ns), owner)
             : ns_get(set->pid_for_children);
    if (IS_ERR(ns))
        goto fail;
    new->pid_for_children = ns;
    return new;
fail:
    nsset_put(new);
    return ERR_PTR(PTR_ERR(ns));
}

u32 map_id_in(const struct user_ns *ns, bool gid, u32 inside)
{
    const struct id_map *map = gid ? &ns->gid_map : &ns->uid_map;

    if (inside - map->inside >= map->count)
        return (u32)-1;
    return map->outside + (inside - map->inside);
}

u32 map_id_out(const struct user_ns *ns, bool gid, u32 kernel_id)
{
    const struct id_map *map = gid ? &ns->gid_map : &ns->uid_map;

    if (kernel_id - map->outside >= map->count)
        return 65534;
    return map->inside + (kernel_id - map->outside);
}
