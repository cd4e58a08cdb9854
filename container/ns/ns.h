// Namespaces: small reference-counted objects that narrow what a task sees. A task points at one
// set of them (struct nsset). No code asks "am I in a container?": it looks a name up in the
// namespace that its task points at. namespaces(7).
//
// Kernel lock held; nothing here sleeps.
#pragma once
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

enum ns_kind { NS_MNT, NS_UTS, NS_IPC, NS_PID, NS_USER, NS_CGROUP, NS_NET, NS_TIME, NS_KINDS };

struct user_ns;
struct cgroup;

struct ns { // the head of every namespace
    enum ns_kind kind;
    u32 refs;
    u64 inum;              // as in the link text "pid:[4026531836]"
    struct user_ns *owner; // whose capabilities count for it
    void (*destroy)(struct ns *ns);
};

struct uts_ns {
    struct ns ns;
    char nodename[65], domainname[65];
};

struct ipc_ns { // holds no object yet: System V IPC and POSIX queues would hang here
    struct ns ns;
};

struct net_ns { // the scope of the abstract names of sockets, which point at it
    struct ns ns;
};

struct cgroup_ns {
    struct ns ns;
    struct cgroup *root; // what "/" is in /proc/PID/cgroup
};

#define UID_MAP_EXTENTS 1 // a single mapping
struct id_map {
    u32 inside, outside, count; // `outside` is a kernel id; count 0: not written yet
};

struct user_ns {
    struct ns ns;
    struct user_ns *parent; // NULL for the first
    u32 level;
    u32 owner_uid, owner_gid; // of its creator, in the parent
    struct id_map uid_map, gid_map;
    bool setgroups_denied;
};

#define PID_NS_MAX_LEVEL 8
#define PID_MAX 32768
struct pid; // kernel/task/pid.h

struct pid_ns {
    struct ns ns;
    struct pid_ns *parent;
    u32 level;
    u32 last_pid;
    struct pid **table[PID_MAX / 512]; // by number, in pages of pointers allocated as needed
    void *init;                        // struct process: its pid 1
    bool dying;                        // its pid 1 has exited: no forks any more
};

// kernel/fs/mount.h has struct mnt_ns { struct ns ns; ... }.

struct nsset { // shared by tasks until one unshares
    u32 refs;
    struct ns *ns[NS_KINDS]; // NS_TIME: NULL
    struct ns *pid_for_children;
};

extern struct nsset init_nsset; // the first of each kind (the mount namespace is set by fs)
extern struct user_ns init_user_ns;
extern struct pid_ns init_pid_ns;

void ns_init(void);
struct ns *ns_get(struct ns *ns);
void ns_put(struct ns *ns); // NULL is fine
void ns_setup(struct ns *ns, enum ns_kind kind, struct user_ns *owner,
              void (*destroy)(struct ns *));
const char *ns_name(enum ns_kind kind); // "mnt", "uts", …
u32 ns_clone_flag(enum ns_kind kind);   // CLONE_NEWNS, …

struct nsset *nsset_get(struct nsset *set);
void nsset_put(struct nsset *set);
// A copy of `set` with fresh namespaces for each CLONE_NEW* in flags (mount namespaces through
// mnt_ns_clone_hook). ERR_PTR.
struct nsset *nsset_clone(struct nsset *set, u64 flags, struct user_ns *owner,
                          struct cgroup *cgroup_root_for_ns);
extern struct ns *(*mnt_ns_clone_hook)(struct ns *old, struct user_ns *owner);

struct user_ns *user_ns_create(struct user_ns *parent, u32 uid,
                               u32 gid); // ERR_PTR; -ENOSPC past 32 levels
// An id as seen inside `ns` to the kernel's id and back; (u32)-1 / the overflow id 65534 where
// unmapped.
u32 map_id_in(const struct user_ns *ns, bool gid, u32 inside);
u32 map_id_out(const struct user_ns *ns, bool gid, u32 kernel_id);
