#pragma once
#include <stdint.h>

/*
 * The Multiboot (version 1) boot protocol: what GRUB and QEMU's -kernel do, into guest memory.
 * Multiboot Specification 0.6.96. Field names below are the specification's.
 */

enum { MAX_MODULES = 16 };

struct boot_module {
    const char *file;
    const char *args; /* the module's string is "FILE ARGS", or FILE alone when this is NULL */
};

struct boot_request {
    const char *kernel;
    const char *append; /* the command line behind the kernel's name; NULL: none */
    struct boot_module modules[MAX_MODULES];
    unsigned module_count;
};

struct boot_entry {
    uint32_t eip, eax, ebx;
};

/* Loads the kernel and its modules into ram (ram_size bytes at guest-physical 0) and writes the
 * boot information. Whatever is wrong with a file ends the program with one line that names the
 * file and the field. */
struct boot_entry multiboot_load(const struct boot_request *request, uint8_t *ram,
                                 uint64_t ram_size);
