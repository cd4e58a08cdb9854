// Character devices: drivers by major number (kernel/fs/devfs.c).
#pragma once
#include "kernel/fs/vfs.h"

// The driver of a major number, or NULL.
const struct file_ops *chrdev_find(u32 major);
// The next registered major from `major` on, with its name; false at the end. For /proc/devices.
bool chrdev_next(u32 *major, const char **name);
void devfs_init(void);

// The instance of devpts for a terminal that is made through the node `ptmx`: the one that the node
// lies in, or the first. A reference.
struct super *devpts_of(const struct inode *ptmx);
// The name of a slave in it.
int devpts_node(struct super *s, unsigned number, u64 rdev);
void devpts_remove(struct super *s, unsigned number);
