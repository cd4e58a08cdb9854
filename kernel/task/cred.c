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
