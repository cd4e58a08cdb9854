// Out of memory: who is killed. mm decides when, the task floor does it.
#pragma once
#include "kernel/lib/types.h"
struct cgroup;

// Set by the task floor: kills (SIGKILL) the largest process inside `over` (NULL: of the whole
// system) and counts it with cgroup_count_oom_kill. Must not sleep.
// Returns true if somebody was killed or is dying already.
extern bool (*oom_kill_hook)(struct cgroup *over);
// Set by the task floor: whose memory kernel code allocates on behalf of now (the current task's
// cgroup, or the root).
extern struct cgroup *(*oom_current_cgroup)(void);
