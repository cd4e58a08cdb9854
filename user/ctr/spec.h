// The config.json of a container that is run from an image: what the image asks for, what the
// command line says over it, and the runtime's defaults. Pure.
#pragma once
#include "user/ctr/image.h"

struct run_options {
    const char *name, *image, *bundle, *hostname, *user, *working_dir;
    int64_t memory, pids, cpu_quota, cpu_weight; // NO_LIMIT where not given
    bool terminal, interactive, detach, remove, read_only, force, all;
    struct list_of_text env, volumes, devices, cap_add, cap_drop;
    char **args; // over the image's Cmd; ends with NULL
    int arg_count;
};

struct user_ids {
    uint32_t uid, gid;
};

// Adds the "linux.devices" members: stat belongs to the caller.
struct spec_device {
    const char *path;
    char type;
    uint32_t major, minor;
};

// The text of config.json, or NULL with error_text.
char *spec_write(const struct image *image, const struct run_options *options, const char *id,
                 struct user_ids user, const struct spec_device *devices, int device_count);
