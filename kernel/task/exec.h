// Loading a program: ELF64 (ET_EXEC, static PIE, PT_INTERP), "#!" scripts; the initial stack and
// auxv. execve(2), elf(5).
#pragma once
#include "kernel/lib/types.h"

struct aspace;
struct vmobject;

// What exec needs of a file, handed down by the file floor.
struct exec_file {
    void *file;              // struct file: kept as aspace->exe, mapped areas point at it
    struct vmobject *object; // its pages
    u64 size;
    u32 mode, uid, gid;
    // Reads up to n bytes at off; bytes or -errno.
    long (*read)(struct exec_file *f, void *buf, size_t n, u64 off);
    void (*close)(struct exec_file *f);
};

// Opens `path` for execution relative to dirfd, following the caller's root and rights (set by fs).
// ERR_PTR.
extern struct exec_file *(*exec_open)(int dirfd, const char *path, int flags);

struct exec_args { // argv and envp copied from user space into one buffer of strings
    char *strings;
    size_t used, size;
    int argc, envc;
};

// Replaces the current program. On success the trap frame enters the new program; on error the old
// one is untouched, or (past the point of no return) the process gets SIGKILL. Bad ELF: -ENOEXEC,
// with a line in the kernel log that names file and field.
int exec_program(int dirfd, const char *path, struct exec_args *args, int flags);
// For the first program: exec from the kernel with kernel strings.
int exec_kernel(const char *path, const char *const argv[], const char *const envp[]);
