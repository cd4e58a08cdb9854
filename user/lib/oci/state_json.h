// What ctr writes down of a container: $CTR_ROOT/ID/state.json ($CTR_ROOT is /run/ctr).
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
//
// Pure: the text and the struct of it. Who is alive, and where the files are: user/ctr/state.h.
#pragma once
#include "user/lib/oci/text.h"

struct state {
    const char *id, *status, *bundle, *cgroup, *image, *command;
    int pid;
    int64_t start_time, created;
};

// `file` names it in messages; 0 or -1.
int state_from_json(struct state *state, const char *file, const char *text, size_t length);
// With `all` as the file is written, else as the specification's `state` shows it.
char *state_to_json(const struct state *state, bool all);
