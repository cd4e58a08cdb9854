// The cgroup tree as files: mount -t cgroup2. Linux's Documentation/admin-guide/cgroup-v2.rst says
// what each file holds.
//
// A directory is a cgroup: mkdir makes one, rmdir removes an empty one; its files are made on the
// fly from the tree's counters (container/cgroup/cgroup.h) and written values go there. What is
// seen as the top is the mounting task's cgroup namespace's root.
#pragma once
#include "container/cgroup/cgroup.h"

struct inode;

// Registers the file system "cgroup2".
void cgroupfs_init(void);
// The cgroup of a directory of cgroupfs, NULL if it is no such directory. No reference.
struct cgroup *cgroupfs_cgroup_of(const struct inode *inode);
// For clone3 with CLONE_INTO_CGROUP: the cgroup of an open directory, with a reference.
// ERR_PTR(-EBADF).
struct cgroup *cgroup_from_fd(int fd);
