// The two large parts of config.json. Complaints go to the document, as in json.h. Pure.
#pragma once
#include "user/lib/oci/config.h"
#include "user/lib/oci/json.h"

// Member "process" of `root`.
void process_parse(struct process_config *process, const struct json *root);
// Member "mounts" of `root`.
void mounts_parse(struct config *config, const struct json *root);
