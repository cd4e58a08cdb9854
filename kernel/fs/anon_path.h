// A place for inodes that no directory holds: pipes reached through /proc/PID/fd, and namespaces
// (nsfs).
#pragma once
#include "container/ns/ns.h"
#include "kernel/fs/vfs.h"

// A path, with references, on an internal mount, to the inode (which gets a reference of its own).
// 0 or -ENOMEM.
int anon_path(struct inode *inode, struct path *out);

// The file that stands for a namespace: what /proc/PID/ns/KIND leads to. 0 or -ENOMEM.
int nsfs_path(struct ns *ns, struct path *out);
// The namespace that a descriptor of current stands for, a reference. ERR_PTR: -EBADF, -EINVAL (not
// a namespace).
struct ns *ns_from_fd(int fd);
