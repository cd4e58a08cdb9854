// ELF64 programs: checking the headers, mapping the segments. elf(5), System V ABI.
#pragma once
#include <linux/elf.h>
#include "kernel/task/exec.h"

#define ELF_MAX_SEGMENTS 64

struct elf_image {
    Elf64_Ehdr header;
    Elf64_Phdr segment[ELF_MAX_SEGMENTS];
    const Elf64_Phdr *interpreter; // PT_INTERP, or NULL
    u64 low, high;                 // addresses that PT_LOAD covers, before the bias
    u64 bias;                      // added to all addresses of ET_DYN
    u64 headers;                   // where the program headers are in memory, 0 if they are not
};

// Reads and checks the headers of `f`. 0, or -ENOEXEC with a line in the log that says which field
// of `path` is wrong.
int elf_read(struct exec_file *f, const char *path, struct elf_image *image);
// Maps the segments into `as`: ET_EXEC where it says, ET_DYN at `base` (0: where there is room).
// Sets bias and headers.
int elf_map(struct exec_file *f, const char *path, struct elf_image *image, struct aspace *as,
            u64 base);
