// The container's first process, from clone to its program; and joining the namespaces of others.
#pragma once
#include "user/ctr/bundle.h"
#include "user/ctr/tty.h"

struct first {
    const struct bundle *bundle;
    const struct tty *tty;
    const char *devices; // directory of staged nodes
    int go;              // read: a byte once the parent has done its part
    int report;          // write: a byte 0 when all is built, or an exit status and a message
    int fifo;            // read: a byte when the program is to start
};

_Noreturn void first_run(struct first *first);

// Whether the kernel has this kind at all (one without a network has no network namespaces, and
// needs none).
bool namespace_supported(int kind);
// Joins the namespace of that kind at `path`; -1 with error_text.
int namespace_join(int kind, const char *path);
