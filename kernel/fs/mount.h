// Mounts and mount namespaces: mount_namespaces(7). Propagation is private.
#pragma once
#include "container/ns/ns.h"
#include "kernel/fs/vfs.h"

struct mount {
    u32 id, refs;
    struct super *super;
    struct dentry *root;       // what is seen of the file system (bind mounts: not its root)
    struct mount *parent;
    struct dentry *mountpoint; // in parent
    struct list link;          // in mnt_ns->mounts
    struct mnt_ns *mnt_ns;     // NULL once detached
    u32 flags;                 // MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC
    bool locked;               // came from a more privileged namespace: flags cannot be loosened
    char source[64];
};

struct mnt_ns {
    struct ns ns;
    struct mount *root;
    struct list mounts;
    u32 count;
};

long do_mount(const char *source, const char *target, const char *type, u64 flags, const char *options);
long do_umount(const char *target, int flags);
long do_pivot_root(const char *new_root, const char *put_old);
// The mount on (mount, dentry) in the current namespace, or NULL.
struct mount *mount_on(struct mount *m, struct dentry *d);
