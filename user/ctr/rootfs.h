// Opening things below an untrusted root: never through a link that leads out, never by a path that
// another process could swap.
#pragma once
#include "user/lib/oci/path.h"

// Resolves `path` inside the directory `root` (a descriptor) under `rule`; clean form in out. 0 or
// -1.
int resolve_in(int root, const char *path, enum path_rule rule, bool keep_last,
               char out[PATH_SIZE]);

// Opens clean `path` below `root`, component by component, following no link: a descriptor, or -1
// with errno. `flags` are for the last component (O_PATH for mount targets).
int open_beneath(int root, const char *path, int flags);
// The same for the directory that holds the last component, whose name goes to *last. With `make`,
// missing directories are made with mode 0755.
int open_parent(int root, const char *path, bool make, const char **last);

// Resolves and opens (O_PATH) an existing thing inside root: a descriptor, or -1 with errno.
int open_in_root(int root, const char *path);
// The same, made as an empty file or a directory (and its parents) where it is missing. -1 with
// error_text.
int open_target(int root, const char *path, bool directory);
