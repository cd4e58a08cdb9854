#pragma once
/* What a fuzzer must give back. */
#include <stdlib.h>
#include <string.h>

#include "tests/guest/test.h"

enum { SLACK_KIB = 64 };

/* Free memory, once those who end last have given theirs back. */
static inline long free_kib(void)
{
    sleep_ms(50);
    const char *line = strstr(read_file("/proc/meminfo"), "MemFree:");
    CHECK(line);
    return atol(line + strlen("MemFree:"));
}
