// Paths that come from user space.
#pragma once
#include "kernel/fs/vfs.h"

// A copy in kernel memory, or ERR_PTR(-EFAULT, -ENAMETOOLONG, -ENOMEM). May sleep.
char *name_get(const char __user *path);
void name_put(char *name); // an ERR_PTR is fine

// name_get, path_lookup_at, name_put.
int user_path_at(int dirfd, const char __user *path, u32 flags, struct path *out);
int user_path_parent(int dirfd, const char __user *path, struct path *parent,
                     struct path_last *last);
// The place that a call with AT_* flags means: LOOKUP_FOLLOW unless AT_SYMLINK_NOFOLLOW, and
// LOOKUP_EMPTY with AT_EMPTY_PATH.
u32 lookup_flags(int at_flags);
