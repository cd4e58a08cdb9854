// The files of a cgroup's directory: what they are called, where they are, what they show and take.
#pragma once
#include "container/cgroup/cgroup.h"
#include "kernel/fs/seqtext.h"

struct cgroup_file {
    const char *name;
    u32 controller; // CGROUP_*: there only if it is enabled for the cgroup; 0: always there
    bool not_in_root;
    bool delegated; // may be written in the root of a cgroup namespace from inside it
    int (*show)(struct seqtext *s, struct cgroup *cg); // NULL: cannot be read
    int (*write)(struct cgroup *cg, char *text);       // NULL: cannot be written; 0 or -errno
};

extern const struct cgroup_file cgroup_files[]; // up to one without a name
// True if cg has the file.
bool cgroup_file_present(const struct cgroup_file *file, const struct cgroup *cg);
// The root of what current's cgroup namespace shows.
struct cgroup *cgroup_ns_root(void);
// The controllers that cg may be limited by.
u32 cgroup_available(const struct cgroup *cg);
