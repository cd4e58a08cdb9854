// Descriptor tables and a task's cwd, root and umask.
#pragma once
#include "kernel/fs/vfs.h"

struct task;

#define FD_LIMIT 65536 // the largest table

struct fdtable {
    u32 refs;
    u32 size;
    u32 next_free; // no free number below it
    struct file **files;
    u64 *cloexec; // bitmap
};

struct fs_context {
    u32 refs;
    struct path cwd, root;
    u32 umask;
};

// Of current; before there are tasks, the kernel's own.
struct fs_context *fs_current(void);

struct file *fd_get(int fd);     // a reference; NULL: -EBADF (also for O_PATH descriptors)
struct file *fd_get_any(int fd); // O_PATH descriptors too
// Lowest free number; takes over the reference (drops it on error); O_CLOEXEC in flags. fd,
// -EMFILE.
int fd_install(struct file *f, u32 flags);
int fd_install_from(struct file *f, int lowest, u32 flags);
int fd_replace(int fd, struct file *f, u32 flags); // dup2: takes over the reference. fd, -EBADF
int fd_close(int fd);                              // may sleep
int fd_set_cloexec(int fd, bool on);               // -EBADF
int fd_cloexec(int fd);                            // 0, 1, -EBADF
// The next open descriptor of t from fd on; -1 at the end. For /proc/PID/fd.
int fd_next(const struct task *t, int fd);
// A file of another task, a reference; NULL.
struct file *fd_get_of(const struct task *t, int fd);

// Become task_file_ops and exec_open.
void fdtable_init(void);
void open_init(void);

// flock(2): LOCK_SH, LOCK_EX, LOCK_UN, with LOCK_NB. Sleeps.
long file_flock(struct file *f, int operation);
// F_GETLK, F_SETLK, F_SETLKW with the user's struct flock. Sleeps.
long file_lock(struct file *f, int cmd, void __user *arg);
// Drops the locks that a descriptor table has on f's inode: one of its descriptors closes.
void file_unlock_all(struct file *f, const struct fdtable *owner);
void flock_released(struct file *f); // the last reference to f is gone
