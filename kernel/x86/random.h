// Random bytes for getrandom(2), /dev/random and AT_RANDOM. The stream is a function of its seed,
// `viv.seed=N` on the command line or else the boot time, so that a deterministic machine stays
// deterministic. It is not for secrets.
#pragma once
#include "kernel/lib/types.h"

void random_bytes(void *buf, size_t n);
