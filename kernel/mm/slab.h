// Small kernel objects: size classes of powers of two cut from frames. Kernel lock held; never sleeps.
#pragma once
#include "kernel/lib/types.h"

// At least `size` bytes aligned to 16 (to the size for powers of two up to a page; larger ones to a page); NULL if there is no memory.
void *kmalloc(size_t size);
void *kzalloc(size_t size);
void kfree(void *p); // NULL is fine
void *krealloc(void *p, size_t size);
char *kstrdup(const char *s);
// Bytes in use, for /proc/meminfo and leak tests.
u64 slab_bytes_used(void);
