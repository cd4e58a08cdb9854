// What the boot loader said, kept in the kernel's own memory: command line, memory map, modules. Multiboot 0.6.96, 3.3.
#pragma once
#include "kernel/lib/types.h"

#define BOOT_MAX_RANGES 64
#define BOOT_MAX_MODULES 16

struct boot_range {
    paddr_t start, end;
};

struct boot_module {
    paddr_t start, end;
    char name[128];
};

struct boot_info {
    char cmdline[2048];
    unsigned ram_count, module_count;
    struct boot_range ram[BOOT_MAX_RANGES]; // usable RAM, page-aligned inwards, sorted; includes kernel and modules
    struct boot_module module[BOOT_MAX_MODULES];
    paddr_t kernel_start, kernel_end;
};

extern struct boot_info boot_info;

// Value of the word `name=value` on the command line copied to buf (last one wins); false if it is absent. `name` alone gives "".
bool boot_option(const char *name, char *buf, size_t size);
