// System calls without a function in the C library, and reading and writing small files.
#pragma once
#include "user/lib/oci/text.h"
#include <sys/types.h>
#include <unistd.h>

// 0 or a positive value, or -1 with errno.
long sys_clone(unsigned long flags); // as fork: 0 in the child
int sys_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);
uint64_t sys_permitted(void); // capabilities
int sys_fsetxattr(int fd, const char *name, const char *value, size_t size);

// "/proc/self/fd/N", for system calls that want a path of an open file.
const char *fd_path(int fd);

// The whole of a file of at most `max` bytes, NUL behind; NULL with error_text.
char *read_file_at(int dir, const char *path, size_t max, size_t *length);
// Creates or replaces a file by renaming a new one over it; -1 with error_text.
int replace_file(const char *path, const char *text);
// Writes all of text to an existing file with one write(2), as cgroup and /proc files want it; -1
// with errno.
int write_file(const char *path, const char *text);
int make_dir(const char *path, unsigned mode); // 0 also if it is there already; -1 with error_text
// Removes a directory and all below it, whatever its depth; follows no link; -1 with error_text.
int remove_tree(const char *path);
void sleep_ms(int ms);
