#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "user/vmm/image.h"

/*
 * Booting: from a kernel's file to the first register values of the vCPU. Which protocol a kernel
 * wants is seen in its file: Linux's (bzImage), Multiboot, or a plain ELF file, which is entered as
 * Linux's own vmlinux is.
 *
 * Whatever is wrong with a file ends the program with one line that names the file, the field and
 * its value.
 */

enum { MAX_MODULES = 16 };

/* Where conventional memory ends for a guest: above it is the BIOS's own data area. */
#define EBDA 0x9fc00u

/* The guest's memory, as INT 15h E820 and the zero page describe it: RAM is of type 1. */
struct memory_range {
    uint64_t address, size;
    uint32_t type;
} __attribute__((packed));
enum { MEMORY_RANGES = 4, MEMORY_RAM = 1, MEMORY_RESERVED = 2 };

/* Returns how many ranges were written. */
unsigned boot_memory_map(uint64_t ram_size, struct memory_range map[MEMORY_RANGES]);

struct boot_module {
    const char *file;
    const char *args; /* the module's string is "FILE ARGS", or FILE alone when this is NULL */
};

struct boot_request {
    const char *kernel;
    const char *append; /* the command line behind what the protocol puts there; NULL: none */
    const char *initrd; /* Linux: the initial RAM disk; NULL: none */
    unsigned start;     /* Linux: 16, 32 or 64: the entry to use; 0: the best that there is */
    unsigned cpus;
    bool pci;                                /* Linux: there is a PCI bus */
    uint32_t tsc_khz;                        /* Linux: need not measure it then; 0: unknown */
    struct boot_module modules[MAX_MODULES]; /* Multiboot */
    unsigned module_count;
};

/* The state to start in. 16: real mode with the segment in cs, and the others as Linux wants them;
 * 32: flat segments without paging; 64: the same in long mode, the first 4 GiB mapped where they
 * are. */
struct boot_entry {
    unsigned bits;
    uint16_t segment; /* of 16 */
    uint64_t ip;
    uint32_t eax, ebx, esi;
};

/* Loads the kernel and what belongs to it into the guest's memory. */
struct boot_entry boot_load(const struct boot_request *request, struct guest_memory guest);

/* One for each protocol; kernel is the whole file. */
struct boot_entry multiboot_load(const struct boot_request *request, const struct image *kernel,
                                 struct guest_memory guest);
struct boot_entry linux_load(const struct boot_request *request, const struct image *kernel,
                             struct guest_memory guest);
struct boot_entry linux_load_elf(const struct boot_request *request, const struct image *kernel,
                                 struct guest_memory guest);

/* Whether the file is a kernel of that kind. */
bool multiboot_is(const struct image *kernel);
bool linux_is(const struct image *kernel);
