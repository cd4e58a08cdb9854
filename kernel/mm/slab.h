// Small kernel objects: size classes of powers of two cut from frames. Kernel lock held; never
// sleeps.
#pragma once
#include "kernel/lib/types.h"

// At least `size` bytes, aligned to the next power of two (at least 16, at most a page); up to
// 4 MiB. NULL if there is no memory.
void *kmalloc(size_t size);
void *kzalloc(size_t size);
void kfree(void *p); // NULL is fine
// The same, charged to the current task's cgroup (mm/oom.h) until kfree: for what user space can
// make many of. NULL, too, where a limit forbids it; nobody is killed for that. Alignment is 16.
void *kmalloc_charged(size_t size);
void *kzalloc_charged(size_t size);
// Grows or shrinks an object, moving it if it must; NULL (and p still valid) if there is no memory.
void *krealloc(void *p, size_t size);
char *kstrdup(const char *s);
// Bytes in use (rounded up to the size classes), for /proc/meminfo and leak tests.
u64 slab_bytes_used(void);
