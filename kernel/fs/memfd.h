// Files of tmpfs without a name: memfd_create(2).
#pragma once
#include "kernel/fs/vfs.h"

struct file *memfd_new(const char *name); // opened for reading and writing; ERR_PTR
