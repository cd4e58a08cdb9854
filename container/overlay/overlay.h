// overlay: one tree of files made of read-only layers and, above them, one that takes the changes.
// Linux's Documentation/filesystems/overlayfs.rst describes the model; OCI images are made for it.
//
// A name that was removed while a lower layer has it is a whiteout in the upper one: a character
// device 0/0. A directory that hides all that is below holds a file OVERLAY_OPAQUE. Neither is
// shown. Before a file is changed it is copied up. A directory with lower parts cannot be renamed
// (EXDEV).
#pragma once
#include "kernel/fs/dentry.h"
#include "kernel/fs/vfs.h"

#define OVERLAY_OPAQUE ".wh..wh..opq"
#define OVERLAY_MAGIC 0x794c7630
#define OVERLAY_LAYERS 64 // lower ones

void overlay_init(void);

struct overlay {       // super.private
    struct path upper; // {NULL}: read-only
    struct path work;  // kept for show_options; copies are made in place, under the kernel lock
    u32 lowers;
    struct path lower[OVERLAY_LAYERS]; // topmost first
    char *options;
};

struct overlay_node {     // inode.private
    struct dentry *upper; // a reference, or NULL
    u32 lowers;           // a file has one at most, a directory those that are merged
    struct path lower[];  // topmost first; references to dentries only, the super has the mounts
};

static inline struct overlay *overlay_of(const struct super *s)
{
    return s->private;
}
static inline struct overlay_node *node_of(const struct inode *i)
{
    return i->private;
}

// node.c: what a name means in all the layers.
// The inode that counts for attributes and content.
struct path overlay_real(const struct inode *i);
// A new node for `upper` (takes over the reference; may be NULL) with room for `lowers`.
struct overlay_node *overlay_node_new(struct dentry *upper, u32 lowers);
void overlay_node_free(struct overlay_node *n);
// The overlay's inode for a node (taken over). NULL without memory.
struct inode *overlay_inode(struct super *s, struct overlay_node *n);
struct inode *overlay_lookup(struct inode *dir, const char *name, size_t len);
bool overlay_is_whiteout(const struct dentry *d);
// Does a lower part of directory dir show `name`?
bool overlay_below_has(const struct inode *dir, const char *name, size_t len);
// Brings the attributes in the overlay's inode up to date.
void overlay_refresh(struct inode *i);

// copy_up.c
int overlay_copy_up(struct dentry *d); // inode_ops.prepare_write: 0, -EROFS, -ENOSPC, -ENOMEM

// raw.c: changes of the upper layer, which no permission of the caller hinders. 0 or -errno.
struct dentry *raw_lookup(struct dentry *dir, const char *name, size_t len); // NULL: none
int raw_create(struct dentry *dir, const char *name, size_t len, u32 mode, u64 rdev,
               struct dentry **out);
int raw_symlink(struct dentry *dir, const char *name, size_t len, const char *target,
                struct dentry **out);
int raw_link(struct dentry *dir, const char *name, size_t len, struct dentry *target);
int raw_unlink(struct dentry *d);
int raw_whiteout(struct dentry *dir, const char *name, size_t len);
// Makes room for a new entry: removes what is there, a directory with the marks in it.
int raw_clear(struct dentry *dir, const char *name, size_t len);

// dir.c, readdir.c, file.c
extern const struct inode_ops overlay_inode_ops;
extern const struct file_ops overlay_dir_ops, overlay_file_ops;
bool overlay_dir_empty(struct inode *dir);
