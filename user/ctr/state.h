// The states of containers in files (user/lib/oci/state_json.h), and whether they still hold.
#pragma once
#include "user/lib/oci/state_json.h"

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
