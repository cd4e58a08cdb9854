// Text files made on the fly (procfs, cgroupfs): the whole text is made at each read from position 0 and kept with the open file.
#pragma once
#include "kernel/lib/types.h"

struct seqtext {
    char *buf;
    size_t len, size;
    bool failed; // out of memory
};

void seq_printf(struct seqtext *s, const char *fmt, ...) __printf(2, 3);
void seq_write(struct seqtext *s, const char *text, size_t len);
