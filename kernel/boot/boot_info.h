// What the boot loader said, kept in the kernel's own memory: command line, memory map, modules.
// Multiboot specification 0.6.96, 3.3.
#pragma once
#include "kernel/lib/types.h"

#define BOOT_MAX_RANGES 64
#define BOOT_MAX_MODULES 16

struct boot_range {
    paddr_t start, end;
};

struct boot_module {
    paddr_t start, end; // bytes, not pages; in RAM, not over the kernel
    char name[128];     // the module's string: file and words
};

struct boot_info {
    char cmdline[2048];
    unsigned ram_count, module_count;
    struct boot_range ram[BOOT_MAX_RANGES]; // usable RAM, page-aligned inwards, sorted; includes
                                            // kernel and modules
    struct boot_module module[BOOT_MAX_MODULES];
    paddr_t kernel_start, kernel_end;
};

extern struct boot_info boot_info;

// Fills boot_info from the Multiboot structure at the physical address; panics with the name of
// what is wrong. The kernel's image ends at kernel_end.
void boot_info_init(paddr_t multiboot, paddr_t kernel_end);

// Value of the word `name=value` on the command line copied to buf, cut at size (the last such word
// wins); false if it is absent. The word `name` alone gives "".
bool boot_option(const char *name, char *buf, size_t size);
