// The config.json of a container that is run from an image: what the image asks for, what the
// command line says over it, and the runtime's defaults. Pure.
#pragma once
#include "user/lib/oci/config.h"

struct image_config { // of an image's configuration; "" and empty where it does not say
    struct list_of_text entrypoint, cmd, env;
    const char *working_dir, *user;
};

struct run_options {
    const char *name, *image, *bundle, *hostname, *user, *working_dir; // NULL where not given
    int64_t memory, pids, cpu_quota, cpu_weight;                       // NO_LIMIT where not given
    bool terminal, interactive, detach, remove, read_only, force, all;
    struct list_of_text env, volumes, devices, cap_add, cap_drop,
        args; // args: over the image's Cmd
};

struct spec_facts { // what only system calls can tell
    const char *id;
    uint32_t uid, gid;
    struct device_config *devices; // as many as options->devices
};

// Sets uid and gid from "USER[:GROUP]", names or numbers; names, and the group of a named user, are
// looked up in the text of the image's /etc/passwd and /etc/group. -1 with error_text.
int spec_find_user(struct spec_facts *facts, const char *user, const char *passwd,
                   const char *group);

// The text of config.json, or NULL with error_text.
char *spec_write(const struct image_config *image, const struct run_options *options,
                 const struct spec_facts *facts);
