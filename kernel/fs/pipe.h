// Pipes and FIFOs: pipe(7), fifo(7).
#pragma once
#include "kernel/fs/vfs.h"

struct pipe;

extern const struct file_ops fifo_file_ops; // open of a FIFO: waits for the other end

// Two open files, the reading and the writing end, with a reference each. flags: O_NONBLOCK,
// O_DIRECT ignored.
int pipe_create(struct file **reader, struct file **writer, u32 flags);
void pipe_free(struct pipe *p);
// F_GETPIPE_SZ, F_SETPIPE_SZ: the capacity in bytes, or -EBADF if f is no pipe, -EBUSY, -EINVAL.
long pipe_capacity(struct file *f);
long pipe_set_capacity(struct file *f, u64 bytes);
