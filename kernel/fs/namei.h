// Changes of the name space, on dentries: what the system calls and overlay are made of.
//
// Each checks permission of current on the directory (write and search; the sticky bit), not that
// the mount is writable: mount_want_write does. `out`, where not NULL, gets a reference.
#pragma once
#include "kernel/fs/dentry.h"
#include "kernel/fs/mount.h"

int vfs_create(struct dentry *dir, const char *name, size_t len, u32 mode, u64 rdev,
               struct dentry **out);
// As vfs_create, when the caller knows that the name is not there.
int vfs_create_missing(struct dentry *dir, const char *name, size_t len, u32 mode, u64 rdev,
                       struct dentry **out);
int vfs_symlink(struct dentry *dir, const char *name, size_t len, const char *target,
                struct dentry **out);
int vfs_link(struct dentry *dir, const char *name, size_t len, struct dentry *target);
// unlink(2), or rmdir(2) with `directory`.
int vfs_unlink(struct dentry *d, bool directory);
// renameat2(2): flags RENAME_NOREPLACE or RENAME_EXCHANGE; which names end in '/'.
#define SLASH_OLD 1u
#define SLASH_NEW 2u
int vfs_rename(struct dentry *old, struct dentry *new_dir, const char *name, size_t len,
               u32 slashes, u32 flags);
// As dentry_attach for an entry that the file system has just made; undoes it without memory.
struct dentry *vfs_attach(struct dentry *dir, const char *name, size_t len, struct inode *inode);
// As dentry_lookup, for current: needs search permission on dir.
struct dentry *vfs_lookup(struct dentry *dir, const char *name, size_t len);
// Before changing attributes or content of d: copies it up where the file system must.
int vfs_prepare_write(struct dentry *d);
