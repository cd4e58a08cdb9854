// A container's configuration: the OCI runtime specification's config.json as a struct. Pure: text
// in, struct out.
#pragma once
#include "user/lib/oci/text.h"
#include <sys/types.h>

struct mount_config {
    const char *source, *destination, *type;
    unsigned long flags;       // MS_*
    unsigned long propagation; // MS_PRIVATE, MS_SLAVE …, or 0
    const char *data;          // what is no flag, with commas
    const char *json_path;     // "mounts[2]"
};

struct device_config {
    const char *path; // in the container
    char type;        // 'c', 'b', 'p'
    uint32_t major, minor, mode, uid, gid;
};

struct rlimit_config {
    int resource;
    uint64_t soft, hard;
};

struct id_mapping {
    uint32_t inside, outside, size;
};

struct capability_sets { // bit n is capability n
    uint64_t bounding, effective, inheritable, permitted, ambient;
};

struct process_config {
    bool terminal, no_new_privileges;
    uint32_t uid, gid, umask; // umask: (uint32_t)-1 where not given
    struct list_of_text args, env;
    const char *cwd;
    struct capability_sets capabilities;
    uint32_t *groups;
    int group_count;
    struct rlimit_config *rlimits;
    int rlimit_count;
};

#define NO_LIMIT INT64_MIN // a limit that config.json does not give; -1 is "max"

struct resources_config {
    int64_t memory_max, memory_low, pids_max, cpu_quota, cpu_period, cpu_weight;
    struct list_of_text unified; // file name, value, file name, value, …
};

struct namespace_config {
    const char *path; // to join, or NULL: a new one
    bool wanted;
};

// In the order in which they are joined: the user namespace first, the mount namespace last.
enum { NS_USER, NS_CGROUP, NS_IPC, NS_UTS, NS_NET, NS_PID, NS_MNT, NS_COUNT };
extern const struct namespace_kind {
    const char *oci_name, *proc_name;
    int flag; // CLONE_NEW*
} namespace_kinds[NS_COUNT];

struct config {
    const char *root_path, *hostname;
    bool root_readonly;
    struct process_config process;
    struct mount_config *mounts;
    int mount_count;
    struct device_config *devices;
    int device_count;
    struct namespace_config namespaces[NS_COUNT];
    struct id_mapping uid_mapping, gid_mapping; // size 0: none
    struct resources_config resources;
    const char *cgroups_path; // or NULL
    struct list_of_text masked_paths, readonly_paths;
    struct list_of_text warnings; // members that ask for what this runtime does not do
};

// Parses `text`; `file` names it in messages. 0 or -1 with error_text.
int config_parse(struct config *config, const char *file, const char *text, size_t length);

// "CAP_KILL" -> 5, -1 if there is no such capability.
int capability_number(const char *name);
const char *capability_name(int number); // NULL behind the last
