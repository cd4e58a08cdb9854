// Credentials: user and group ids (kernel ids, mapped by the user namespace at the boundary) and
// capabilities. credentials(7), capabilities(7).
#pragma once
#include <linux/capability.h>
#include "kernel/lib/types.h"

struct user_ns;

#define CRED_MAX_GROUPS 32
struct cred { // copy-on-write: never changed once shared
    u32 refs;
    u32 uid, euid, suid, fsuid;
    u32 gid, egid, sgid, fsgid;
    u32 ngroups, groups[CRED_MAX_GROUPS];
    u64 cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
    struct user_ns *user_ns;
    bool no_new_privs, keep_caps;
    u32 securebits;
};

struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
struct cred *cred_copy(const struct cred *c); // refs 1; NULL without memory
// What clone and unshare with CLONE_NEWUSER give: a copy in a new user namespace, with all
// capabilities there. ERR_PTR.
struct cred *cred_in_new_user_ns(const struct cred *old);
// Puts c, a copy of the caller's own, into ns with all capabilities there; takes over a reference
// to ns.
void cred_enter_user_ns(struct cred *c, struct user_ns *ns);
// True if the current task has `cap` (CAP_*) in namespace ns (capable() / ns_capable()).
bool capable(int cap);
bool ns_capable(const struct user_ns *ns, int cap);
