// tmpfs(5): files in memory. The root file system, /dev, /dev/pts and POSIX shared memory are made
// of it.
//
// Names live in the dentries alone. A regular file is a vmobject whose pages mmap and exec map
// directly; each page is charged to the cgroup of the first writer.
#pragma once
#include "kernel/fs/vfs.h"

extern struct fs_type tmpfs_type;
extern const struct inode_ops tmpfs_inode_ops; // of all its inodes
extern const struct file_ops tmpfs_file_ops;   // of regular files

#define TMPFS_MAGIC_K 0x01021994

// A new instance of any type that is tmpfs inside: root directory with `mode`. ERR_PTR.
struct super *tmpfs_super(const struct fs_type *type, u32 mode);
// An inode of it: a regular file gets its pages. NULL without memory.
struct inode *tmpfs_inode(struct super *s, u32 mode, u64 rdev);
int tmpfs_statfs(struct super *s, void *statfs);
// Size, mode and such of mount options: 0, or -EINVAL after a line in the log.
int tmpfs_options(struct super *s, const char *options);

// tmpfs_data.c
struct vmobject *tmpfs_object(struct super *s); // NULL without memory
u64 tmpfs_resident(const struct inode *i);      // pages that a regular file holds
int tmpfs_truncate(struct inode *i, u64 size);
int tmpfs_allocate(struct inode *i, u32 mode, u64 offset, u64 len);
s64 tmpfs_seek_data(struct inode *i, u64 offset, bool data);
