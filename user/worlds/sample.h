#pragma once
#include <stdint.h>

/*
 * What the three kinds of worlds use, read at one moment from /proc, /run/ctr and the cgroup file
 * system. Counters that the kernel does not show are UNKNOWN.
 */

#define UNKNOWN UINT64_MAX

enum { MAX_WORLDS = 512, NAME_SIZE = 64 };

enum world_kind { WORLD_PROCESS, WORLD_CONTAINER, WORLD_VM };

struct world {
    enum world_kind kind;
    char name[NAME_SIZE];
    int pid; /* of the process or the VM's monitor; a container's first one, 0 if it is gone */
    uint64_t members; /* processes of a container, vCPUs of a VM, else 1 */
    uint64_t cpu_us;  /* used since it began */
    uint64_t memory;  /* bytes */
    uint64_t events;  /* system calls, or exits of a VM, since it began */
};

struct sample {
    uint64_t time_us;
    unsigned count;
    struct world world[MAX_WORLDS];
};

/* Fills the sample: containers first, then VMs, then the processes that are in neither. */
void sample_take(struct sample *sample);
