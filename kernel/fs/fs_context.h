// Descriptor tables as objects, for fs_context.c, which gives them to tasks.
#pragma once
#include "kernel/fs/fdtable.h"

struct fdtable *fdtable_new(u32 size);                    // NULL without memory
struct fdtable *fdtable_copy(const struct fdtable *from); // the same open files
void fdtable_put(struct fdtable *t);                      // NULL is fine; may sleep
void fdtable_close_on_exec(struct fdtable *t);
