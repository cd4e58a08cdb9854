// The life of a container: create → start → (kill) → delete, as the OCI runtime specification has
// it.
#pragma once
#include "user/lib/oci/spec.h"
#include "user/ctr/state.h"

// Puts this process, before it makes or enters any container, into a mount namespace of its own and
// runs it anew from a read-only mount of its program file: the file behind /proc/PID/exe then
// cannot be written from inside (CVE-2019-5736). Returns only if that is so already (0), or on
// failure (-1).
int protect_self(char **argv);

struct container {
    struct state state;
    int pid;    // of its first process, our child
    int master; // of its terminal, or -1
};

// Builds the environment; its program waits. On failure nothing is left behind, and *status is the
// exit status to end with.
int container_create(struct container *container, const struct run_options *options, int *status);
int container_start(const char *id);
int container_kill(const char *id, int signal, bool all);
int container_delete(const char *id, bool force);
// Runs another program in it: its exit status, or -1.
int container_exec(const char *id, const struct run_options *options, int *status);
// What a shell makes of a wait status: the exit status, or 128 + signal.
int exit_status(int wait_status);
