/* Which boot protocol a kernel's file asks for. */
#include "user/vmm/boot.h"

#include <string.h>

#include "user/vmm/acpi.h"
#include "user/vmm/machine.h"
#include "user/vmm/say.h"

unsigned boot_memory_map(uint64_t ram_size, struct memory_range map[MEMORY_RANGES])
{
    map[0] = (struct memory_range){0, EBDA, MEMORY_RAM};
    map[1] = (struct memory_range){EBDA, HOLE_START - EBDA, MEMORY_RESERVED};
    map[2] = (struct memory_range){BIOS_AREA, MIB - BIOS_AREA, MEMORY_RESERVED};
    map[3] = (struct memory_range){MIB, ram_size - MIB, MEMORY_RAM};
    return MEMORY_RANGES;
}

static bool is_elf(const struct image *kernel)
{
    return kernel->size >= 4 && !memcmp(kernel->data, "\177ELF", 4);
}

struct boot_entry boot_load(const struct boot_request *request, struct guest_memory guest)
{
    struct image kernel = image_read(request->kernel);
    struct boot_entry entry;

    acpi_put_tables(guest, request->cpus, request->pci);
    if (linux_is(&kernel))
        entry = linux_load(request, &kernel, guest);
    else if (multiboot_is(&kernel))
        entry = multiboot_load(request, &kernel, guest);
    else if (is_elf(&kernel))
        entry = linux_load_elf(request, &kernel, guest);
    else
        die(STATUS_USAGE,
            "%s: no kernel: neither \"HdrS\" at 0x202 (Linux), nor a Multiboot header in the first "
            "8192 bytes, nor ELF",
            kernel.file);
    image_free(&kernel);
    return entry;
}
