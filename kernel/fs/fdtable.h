// Descriptor tables and a task's cwd, root and umask.
#pragma once
#include "kernel/fs/vfs.h"

struct task;

struct fdtable {
    u32 refs;
    u32 size;
    struct file **files;
    u64 *cloexec; // bitmap
};

struct fs_context {
    u32 refs;
    struct path cwd, root;
    u32 umask;
};

struct file *fd_get(int fd);                  // a reference; NULL: -EBADF
int fd_install(struct file *f, u32 flags);    // lowest free number, takes over the reference (drops it on error); O_CLOEXEC in flags. fd, -EMFILE
int fd_install_from(struct file *f, int lowest, u32 flags);
int fd_replace(int fd, struct file *f, u32 flags); // dup2
int fd_close(int fd);                         // may sleep
