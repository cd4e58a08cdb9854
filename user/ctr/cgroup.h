// A container's cgroup (v2), through files. Paths are below the file system's root: "/ctr/ID".
// cgroups(7), Linux's cgroup-v2.rst.
#pragma once
#include "user/lib/oci/config.h"

// Where cgroup2 is mounted (/proc/mounts), or NULL with error_text.
const char *cgroup_mount_point(void);
// Makes `path`, enables what there is of cpu, memory and pids for it, and writes the limits. Fails
// if processes are in it.
int cgroup_make(const char *path, const struct resources_config *resources);
int cgroup_add(const char *path, int pid);
// Kills all that is in it, below it too.
int cgroup_kill(const char *path);
// Removes it with its children; waits a little while for the dying. Fine if it is not there.
int cgroup_remove(const char *path);
bool cgroup_populated(const char *path);
