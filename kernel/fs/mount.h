// Mounts and mount namespaces: mount_namespaces(7). Propagation is private.
//
// A mount holds its super and its root dentry; being in the tree is one reference, each path that
// goes through it another.
#pragma once
#include <linux/mount.h>
#include "container/ns/ns.h"
#include "kernel/fs/vfs.h"

struct mount {
    u32 id, refs;
    struct super *super;
    struct dentry *root;              // what is seen of the file system (bind mounts: not its root)
    struct mount *parent;             // NULL: a namespace's root, or detached
    struct dentry *mountpoint;        // in parent
    struct list children, child_link; // mounts on it
    struct mount *hash_next;          // by (parent, mountpoint)
    struct list link;                 // in mnt_ns->mounts
    struct mnt_ns *mnt_ns;            // NULL once detached
    u32 writers;                      // regular files open for writing through it
    u32 flags;                        // MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME
    u32 locked_flags; // came from a more privileged namespace: these cannot be taken off
    bool locked;      // and it cannot be unmounted alone
    u32 copied_from;  // id of the mount in the namespace that this one was cloned from
    char source[64];
};

struct mnt_ns {
    struct ns ns;
    struct mount *root;
    struct list mounts;
    u32 count;
};

#define MNT_DETACH_K 2 // umount2(2)'s flags, which no UAPI header has
#define UMOUNT_NOFOLLOW_K 8

#define MOUNT_MAX 4096 // mounts in a namespace: -ENOSPC past it

extern struct mnt_ns init_mnt_ns;
struct mnt_ns *current_mnt_ns(void);

// mount(2), umount2(2), pivot_root(2): kernel strings (source, type, options may be ""), flags as
// they came.
long do_mount(const char *source, const char *target, const char *type, u64 flags,
              const char *options);
long do_umount(const char *target, int flags);
long do_pivot_root(const char *new_root, const char *put_old);

// The mount on (mount, dentry), or NULL. No reference.
struct mount *mount_on(const struct mount *m, const struct dentry *d);
// Goes from a mount point to the root of what is mounted there, as deep as it takes.
void path_cross_mounts(struct path *p);
// Goes to the parent directory, never above root.
void path_up(struct path *p, const struct path *root);
// -EROFS if p cannot be changed.
int mount_want_write(const struct mount *m);

// mount_tree.c
struct mount *mount_new(struct super *s, struct dentry *root, const char *source, u32 flags);
static inline struct mount *mount_get(struct mount *m)
{
    m->refs++;
    return m;
}
void mount_put(struct mount *m);
// Puts m (the caller's reference becomes the tree's) on a place. -ENOSPC.
int mount_attach(struct mount *m, const struct path *place);
// Takes m and all below out of the tree and drops the tree's references.
void mount_detach_tree(struct mount *m);
// Copies a mount, with `recursive` all below it too (not attached). ERR_PTR.
struct mount *mount_copy_tree(struct mount *m, struct dentry *root, bool recursive);
// new_root takes root's place in the tree, and root goes onto `old`.
void mount_swap_root(struct mount *new_root, struct mount *root, const struct path *old);
// The next mount of the subtree of top in pre-order; NULL at the end.
struct mount *mount_next(struct mount *pos, struct mount *top);
// CLONE_NEWNS: ns.h's mnt_ns_clone_hook.
struct ns *mnt_ns_clone(struct ns *old, struct user_ns *owner);
// The same place in the copy `ns` of the namespace that p lives in; *p changes in place.
void path_translate(struct path *p, struct mnt_ns *ns);
