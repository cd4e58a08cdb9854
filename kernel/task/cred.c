// Credentials, capability checks, and the id maps of user namespaces. credentials(7),
// user_namespaces(7).

#include "kernel/task/cred.h"
#include "container/ns/ns.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/task/task_internal.h"

#define CAP_ALL ((1UL << (CAP_LAST_CAP + 1)) - 1)

struct cred init_cred = {
    .refs = 1,
    .cap_permitted = CAP_ALL,
    .cap_effective = CAP_ALL,
    .cap_bounding = CAP_ALL,
    .user_ns = &init_user_ns,
};

struct cred *cred_get(struct cred *c)
{
    c->refs++;
    return c;
}

void cred_put(struct cred *c)
{
    if (--c->refs)
        return;
    ns_put(&c->user_ns->ns);
    kfree(c);
}

struct cred *cred_copy(const struct cred *c)
{
    struct cred *new = kmalloc(sizeof(*new));

    if (!new)
        return NULL;
    *new = *c;
    new->refs = 1;
    ns_get(&new->user_ns->ns);
    return new;
}

struct cred *cred_in_new_user_ns(const struct cred *old)
{
    struct user_ns *ns = user_ns_create(old->user_ns, old->euid, old->egid);

    if (IS_ERR(ns))
        return ERR_PTR(PTR_ERR(ns));
    struct cred *new = cred_copy(old);
    if (!new) {
        ns_put(&ns->ns);
        return ERR_PTR(-ENOMEM);
    }
    cred_enter_user_ns(new, ns);
    return new;
}

void cred_enter_user_ns(struct cred *c, struct user_ns *ns)
{
    ns_put(&c->user_ns->ns);
    c->user_ns = ns;
    c->cap_permitted = c->cap_effective = c->cap_bounding = CAP_ALL;
    c->cap_inheritable = c->cap_ambient = 0;
    c->securebits = 0;
}

// A process has in a namespace what it was given there; who made a namespace has everything in it
// and below: user_namespaces(7).
bool ns_capable(const struct user_ns *ns, int cap)
{
    const struct cred *c = current()->cred;

    for (;;) {
        if (ns == c->user_ns)
            return c->cap_effective & BIT(cap);
        if (ns->level <= c->user_ns->level)
            return false;
        if (ns->parent == c->user_ns && ns->owner_uid == c->euid)
            return true;
        ns = ns->parent;
    }
}

bool capable(int cap)
{
    return ns_capable(&init_user_ns, cap);
}

// ---- id maps ------------------------------------------------------------------------------------

static bool read_number(const char **text, u32 *value)
{
    const char *p = *text;
    u64 v = 0;

    while (*p == ' ' || *p == '\t')
        p++;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (*p - '0');
        if (v > UINT32_MAX)
            return false;
    }
    *value = v;
    *text = p;
    return true;
}

static bool parse_map(const char *p, struct id_map *map)
{
    if (!read_number(&p, &map->inside) || !read_number(&p, &map->outside) ||
        !read_number(&p, &map->count))
        return false;
    while (*p == ' ' || *p == '\n')
        p++;
    return !*p && map->count && map->inside + map->count >= map->inside &&
           map->outside + map->count >= map->outside;
}

// Without CAP_SETUID (CAP_SETGID) in the parent only the creator's own id may be mapped, and gids
// only once setgroups is denied.
static bool may_map(const struct user_ns *ns, bool gid, const struct id_map *map, u32 kernel_id)
{
    const struct cred *c = current()->cred;

    if (ns_capable(ns->parent, gid ? CAP_SETGID : CAP_SETUID))
        return true;
    if (map->count != 1 || c->euid != ns->owner_uid)
        return false;
    return gid ? ns->setgroups_denied && kernel_id == c->egid : kernel_id == c->euid;
}

int user_ns_write_map(struct user_ns *ns, bool gid, const char *text)
{
    struct id_map map, *own = gid ? &ns->gid_map : &ns->uid_map;

    if (own->count || !ns->parent || !ns_capable(ns, CAP_SYS_ADMIN))
        return -EPERM;
    if (current()->cred->user_ns != ns && current()->cred->user_ns != ns->parent)
        return -EPERM;
    if (!parse_map(text, &map))
        return -EINVAL;
    u32 first = map_id_in(ns->parent, gid, map.outside);
    u32 last = map_id_in(ns->parent, gid, map.outside + map.count - 1);
    if (first == (u32)-1 || last != first + map.count - 1 || !may_map(ns, gid, &map, first))
        return -EPERM;
    map.outside = first;
    *own = map;
    return 0;
}

int user_ns_write_setgroups(struct user_ns *ns, const char *text)
{
    bool deny = strncmp(text, "deny", 4) == 0;

    if (!deny && strncmp(text, "allow", 5) != 0)
        return -EINVAL;
    if (!ns_capable(ns, CAP_SYS_ADMIN))
        return -EPERM;
    if (deny && ns->gid_map.count)
        return -EPERM;
    if (!deny && ns->setgroups_denied)
        return -EPERM;
    ns->setgroups_denied = deny;
    return 0;
}
