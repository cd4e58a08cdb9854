// Reading a tar stream: ustar with pax headers (path, linkpath, size, uid, gid, mtime) and GNU long
// names; POSIX.1-2017 pax. Pure: the bytes come through a callback. Nothing here trusts the
// archive: lengths are bounded, checksums compared.
#pragma once
#include "user/lib/oci/text.h"

#define TAR_NAME_MAX 4095

enum tar_type { TAR_FILE, TAR_HARD_LINK, TAR_SYMLINK, TAR_CHAR, TAR_BLOCK, TAR_DIR, TAR_FIFO };

struct tar_entry {
    enum tar_type type;
    char name[TAR_NAME_MAX + 1], link[TAR_NAME_MAX + 1];
    uint32_t mode, uid, gid; // mode: the permission bits, up to 07777
    uint32_t major, minor;
    int64_t size, mtime;
};

struct tar {
    // Up to n bytes into buffer: how many, 0 at the end, -1 with error_text.
    long (*read)(void *context, void *buffer, size_t n);
    void *context;
    int64_t left;    // of the current entry's data
    int64_t padding; // behind it
};

// The next entry: 1, 0 at the end of the archive, -1 with error_text. Skips what is left of the one
// before.
int tar_next(struct tar *tar, struct tar_entry *entry);
// The current entry's data: bytes read, 0 at its end, -1.
long tar_data(struct tar *tar, void *buffer, size_t n);
