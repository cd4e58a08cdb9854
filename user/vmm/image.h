#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A kernel file in the monitor's memory, and the two ways to put it into the guest's.
 * All functions end the program with a message that names the file and the field when something
 * does not fit.
 */

struct image {
    const char *file;
    uint8_t *data;
    size_t size;
};

/* Where a loaded kernel lies in guest-physical memory. */
struct placement {
    uint64_t start, end;
    uint32_t entry;
    bool wide; /* an ELF64 for x86-64 */
};

struct guest_memory {
    uint8_t *ram;
    uint64_t size;
    uint8_t *written; /* 1 for each page that a device wrote to, for migration; NULL: nobody asks */
};

/* Reads a whole file. */
struct image image_read(const char *file);
void image_free(struct image *image);

/* ELF32 or ELF64: every PT_LOAD segment goes to its physical address; a virtual entry point is
 * turned into the physical one of the segment that holds it, as GRUB does. */
struct placement image_load_elf(const struct image *image, struct guest_memory guest);

/* Copies size bytes of the image to a guest-physical address and clears the memory behind them up
 * to memory_size. what names the part in messages. */
void image_place(const struct image *image, struct guest_memory guest, const char *what,
                 uint64_t offset, uint64_t size, uint64_t address, uint64_t memory_size);
