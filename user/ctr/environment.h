// What a container sees: its mounts, devices, masked and read-only paths, made inside the root
// directory and closed by pivot_root. Runs in the container's first process, before its program.
//
// Rules: the root and every tmpfs are mounted without devices, and devices are bind mounts of nodes
// made outside, one by one; so a node that is in the image, or is made inside, opens nothing. Every
// target is found by resolve_in, and mounted on through its descriptor.
#pragma once
#include "user/lib/oci/config.h"

struct environment {
    const struct config *config;
    const char *bundle;  // directory that relative bind sources are below
    const char *rootfs;  // directory to become "/"
    const char *devices; // directory with the nodes: stage_devices
    const char *console; // path of the terminal for /dev/console, or NULL
};

// Makes the default devices and the configured ones in directory `stage`, on a tmpfs of its own,
// before the container's process is made (which may not be allowed to). -1 with error_text.
int stage_devices(const struct config *config, const char *stage);
// Builds it all and moves into it. -1 with error_text.
int environment_enter(const struct environment *env);
