// Archives in cpio's "newc" format: cpio(5). A parser without state; compiled on the host too.
#pragma once
#include "kernel/lib/types.h"

struct cpio_entry {
    const char *name; // NUL-terminated, inside the archive
    const u8 *data;
    u64 size;
    u32 ino, mode, uid, gid, nlink, mtime;
    u32 dev_major, dev_minor, rdev_major, rdev_minor;
};

// Reads the entry at *offset and moves *offset behind it. 1: an entry; 0: the end of all archives
// in `data` (they may follow each other, with zeros between); -EINVAL: *field names what is wrong
// and *offset stays at the header of the bad entry.
int cpio_next(const void *data, size_t size, size_t *offset, struct cpio_entry *e,
              const char **field);
