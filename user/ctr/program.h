// Becoming the container's program: identity, limits, capabilities, working directory, and execve.
#pragma once
#include "user/lib/oci/config.h"

// Drops to what `process` allows, for good. -1 with error_text.
int program_prepare(const struct process_config *process);
// The file that args[0] names (by PATH of env, if it has no slash), or NULL with error_text and
// *status 127 or 126.
const char *program_find(const struct process_config *process, int *status);
// Becomes it; says so on standard error and ends with status 126 if it cannot.
_Noreturn void program_run(const struct process_config *process, const char *program);
// Closes every descriptor from 3 on but those in `keep` (ends with -1). -1 with error_text.
int close_descriptors(const int *keep);
