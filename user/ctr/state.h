// What is known of a container between commands: $CTR_ROOT/ID/state.json ($CTR_ROOT is /run/ctr).
// Other programs may read that file (worlds does). It is replaced as a whole, never written in
// place, and has
//
//   ociVersion, id, status, pid, bundle   as the OCI runtime specification says; status is what was
//   last written (created,
//                                         running, stopped): with its pid gone, a container is
//                                         stopped whatever it says
//   cgroup      its path below the cgroup file system: "/ctr/ID"
//   image       "NAME:TAG", or "" for a bundle
//   command     its arguments, joined by blanks
//   startTime   of pid, field 22 of /proc/PID/stat: tells the process from a later one of that
//   number created     seconds since 1970
#pragma once
#include "user/ctr/text.h"

struct state {
    const char *id, *status, *bundle, *cgroup, *image, *command;
    int pid;
    int64_t start_time, created;
};

const char *state_root(void);
const char *state_dir(const char *id); // $CTR_ROOT/ID
bool state_valid_id(const char *id);   // letters, digits, "_.+-"; none of the store's own names

// Reads and refreshes status; -1 with error_text ("no container ID").
int state_read(struct state *state, const char *id);
int state_write(const struct state *state);
// As the specification's `state` prints it.
void state_print(const struct state *state);
// The ids there are, sorted.
int state_list(struct list_of_text *ids);

// Start time of a process that lives (a zombie does not), else -1.
int64_t process_start_time(int pid);
