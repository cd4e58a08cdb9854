// Names: a tree of dentries for each file system instance, found by a hash of (directory, name).
//
// A dentry holds its inode and its parent. It lives while somebody refers to it; where the file
// system keeps its dentries (super.keep_dentries) the existing name is one reference more.
#pragma once
#include "kernel/fs/vfs.h"

struct dentry {
    char *name; // NUL-terminated
    u32 len, hash;
    struct dentry *parent; // itself at a file system's root
    struct inode *inode;
    struct super *super;
    struct list children, sibling; // in order of `cookie`
    struct dentry *hash_next;
    u64 cookie;      // directory position of this name
    u64 next_cookie; // for the next child
    u32 refs;
    u32 mounted;   // mounts on it, in any namespace
    bool deleted;  // unlinked: no longer in the hash and in its parent's list
    void *private; // the file system's, freed by its unlink or kill
    char short_name[24];
};

#define NAME_HASH_INIT 5381u
static inline u32 name_hash_step(u32 hash, char c)
{
    return hash * 31 + (u8)c;
}
u32 name_hash(const char *name, size_t len);

static inline struct dentry *dentry_get(struct dentry *d)
{
    d->refs++;
    return d;
}
void dentry_put(struct dentry *d);
// The entry `name` of dir, a reference; NULL: there is none; ERR_PTR. `hash` is name_hash(name,
// len).
struct dentry *dentry_lookup(struct dentry *dir, const char *name, size_t len, u32 hash);
// Puts a new name into dir. Takes over the reference to inode (drops it on error). One reference
// for the caller; NULL without memory.
struct dentry *dentry_attach(struct dentry *dir, const char *name, size_t len, struct inode *inode);
// The name is gone (unlink, rmdir, replaced).
void dentry_unlink(struct dentry *d);
// Another directory and name for it. -ENOMEM.
int dentry_move(struct dentry *d, struct dentry *dir, const char *name, size_t len);
// Makes a root. NULL without memory.
struct dentry *dentry_root(struct super *s, struct inode *inode);
// Drops all names below and with root: the instance is going away.
void dentry_kill_tree(struct dentry *root);
// file_ops.iterate for file systems whose dentries are complete, and the "." and ".." part of
// others.
int dentry_iterate(struct file *f, u64 *pos, dir_emit emit, void *ctx);
// Emits "." and ".." for positions 0 and 1: false when there is no room.
bool dentry_iterate_dots(struct file *f, u64 *pos, dir_emit emit, void *ctx);
