#pragma once
#include <stdint.h>

/*
 * A computation to compare worlds by: the same C function runs in a process, in a container and in
 * a guest kernel. It uses only the processor and 64 KiB of memory, no system calls and no floating
 * point.
 */

enum { WORK_ROUNDS = 100 };

/* Each round is about 3 million instructions. The same number gives the same checksum everywhere.
 */
uint64_t work_checksum(uint32_t rounds);
