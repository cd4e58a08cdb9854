/*
 * Loading a Multiboot kernel. Low memory: the boot information, the memory map, the module list and
 * all strings lie between 0x10000 and 0x20000, where no kernel is loaded that starts at 1 MiB.
 * Modules follow the kernel, page aligned.
 */
#include "user/vmm/boot.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "user/vmm/machine.h"
#include "user/vmm/say.h"

#define HEADER_MAGIC 0x1badb002u
#define LOADER_MAGIC 0x2badb002u

enum { SEARCH = 8192, PAGE = 4096 };
enum {
    WANT_PAGE_ALIGN = 1,
    WANT_MEMORY = 2,
    KNOWN_WANTS = 3,
    WANT_MASK = 0xffff,
    AOUT_KLUDGE = 1 << 16
};
enum { INFO_AREA = 0x10000, INFO_AREA_END = 0x20000 };
enum {
    HAS_MEMORY = 1,
    HAS_CMDLINE = 4,
    HAS_MODULES = 8,
    HAS_MMAP = 1 << 6,
    HAS_LOADER_NAME = 1 << 9
};

struct mb_header {
    uint32_t magic, flags, checksum;
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

struct mb_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
    uint32_t syms[4], mmap_length, mmap_addr, drives_length, drives_addr, config_table,
        boot_loader_name;
    uint32_t apm_table;
    uint32_t unused[12];
};
static_assert(sizeof(struct mb_info) == 120, "Multiboot information");

struct mb_module {
    uint32_t mod_start, mod_end, string, reserved;
};
static_assert(sizeof(struct mb_module) == 16, "Multiboot module");

struct mb_mmap {
    uint32_t size;
    uint64_t addr, len;
    uint32_t type;
} __attribute__((packed));
static_assert(sizeof(struct mb_mmap) == 24, "Multiboot memory map entry");

/* Hands out the low area piece by piece. */
struct low_area {
    struct guest_memory guest;
    uint32_t next;
};

static uint32_t low_put(struct low_area *low, const void *data, size_t size)
{
    uint32_t at = low->next;

    if (size > INFO_AREA_END - at)
        die(STATUS_USAGE, "command lines of kernel and modules: longer than %d bytes",
            INFO_AREA_END - INFO_AREA);
    memcpy(low->guest.ram + at, data, size);
    low->next = (uint32_t)((at + size + 7) & ~7ull);
    return at;
}

/* The string "file args". */
static uint32_t low_put_words(struct low_area *low, const char *file, const char *args)
{
    uint32_t at = low_put(low, file, strlen(file) + 1);

    if (args && *args) {
        low->next = at + (uint32_t)strlen(file);
        low_put(low, " ", 1);
        low->next = at + (uint32_t)strlen(file) + 1;
        low_put(low, args, strlen(args) + 1);
    }
    return at;
}

/* Finds the header: the offset in the file, or SEARCH. What a header has behind its checksum may be
 * cut off. */
static size_t find_header(const struct image *image, struct mb_header *header)
{
    size_t limit = image->size < SEARCH ? image->size : SEARCH;

    for (size_t at = 0; at + 12 <= limit; at += 4) {
        size_t left = image->size - at;
        memset(header, 0, sizeof(*header));
        memcpy(header, image->data + at, left < sizeof(*header) ? left : sizeof(*header));
        if (header->magic == HEADER_MAGIC && header->magic + header->flags + header->checksum == 0)
            return at;
    }
    return SEARCH;
}

bool multiboot_is(const struct image *kernel)
{
    struct mb_header header;

    return find_header(kernel, &header) < SEARCH;
}

static void check_wants(const struct image *image, const struct mb_header *h)
{
    uint32_t unknown =
        h->flags & WANT_MASK & ~KNOWN_WANTS & ~4u; /* bit 2, a video mode, is a wish */

    if (unknown)
        die(STATUS_USAGE, "%s: Multiboot header: flags 0x%x ask for the unknown 0x%x", image->file,
            h->flags, unknown);
}

/* The header's own addresses instead of ELF's. */
static struct placement load_flat(const struct image *image, const struct mb_header *h, size_t at,
                                  struct guest_memory guest)
{
    if (h->header_addr < h->load_addr || h->header_addr - h->load_addr > at)
        die(STATUS_USAGE, "%s: Multiboot header: load_addr 0x%x does not fit header_addr 0x%x",
            image->file, h->load_addr, h->header_addr);
    uint64_t offset = at - (h->header_addr - h->load_addr);
    uint64_t size = image->size - offset;
    if (h->load_end_addr && h->load_end_addr < h->load_addr)
        die(STATUS_USAGE, "%s: Multiboot header: load_end_addr 0x%x is below load_addr 0x%x",
            image->file, h->load_end_addr, h->load_addr);
    if (h->load_end_addr)
        size = h->load_end_addr - h->load_addr;
    uint64_t end = h->load_addr + size;
    if (h->bss_end_addr && h->bss_end_addr < end)
        die(STATUS_USAGE, "%s: Multiboot header: bss_end_addr 0x%x is below the loaded end 0x%llx",
            image->file, h->bss_end_addr, (unsigned long long)end);
    if (h->bss_end_addr)
        end = h->bss_end_addr;
    image_place(image, guest, "Multiboot load_addr", offset, size, h->load_addr,
                end - h->load_addr);
    if (h->entry_addr < h->load_addr || h->entry_addr >= end)
        die(STATUS_USAGE, "%s: Multiboot header: entry_addr 0x%x is outside 0x%x-0x%llx",
            image->file, h->entry_addr, h->load_addr, (unsigned long long)end);
    return (struct placement){.start = h->load_addr, .end = end, .entry = h->entry_addr};
}

static struct placement load_kernel(const struct image *image, struct guest_memory guest)
{
    struct mb_header header;
    size_t at = find_header(image, &header);
    struct placement p;

    check_wants(image, &header);
    if (header.flags & AOUT_KLUDGE && at + sizeof(header) > image->size)
        die(STATUS_USAGE, "%s: Multiboot header: truncated", image->file);
    if (header.flags & AOUT_KLUDGE)
        p = load_flat(image, &header, at, guest);
    else if (image->size >= 4 && !memcmp(image->data, "\177ELF", 4))
        p = image_load_elf(image, guest);
    else
        die(STATUS_USAGE, "%s: Multiboot header: flags 0x%x: neither ELF nor load addresses",
            image->file, header.flags);
    if (p.start < INFO_AREA_END && p.end > INFO_AREA)
        die(STATUS_USAGE, "%s: load address 0x%llx is over the boot information (0x%x-0x%x)",
            image->file, (unsigned long long)p.start, INFO_AREA, INFO_AREA_END);
    return p;
}

/* Puts the modules behind the kernel; the list goes to the low area. */
static void load_modules(const struct boot_request *request, struct low_area *low, uint64_t at,
                         struct mb_info *info)
{
    struct mb_module list[MAX_MODULES] = {0};

    if (at < MIB)
        at = MIB;
    for (unsigned i = 0; i < request->module_count; i++) {
        const struct boot_module *module = &request->modules[i];
        struct image image = image_read(module->file);
        at = (at + PAGE - 1) & ~(uint64_t)(PAGE - 1);
        image_place(&image, low->guest, "module", 0, image.size, at, image.size);
        image_free(&image);
        list[i].mod_start = (uint32_t)at;
        at += image.size;
        list[i].mod_end = (uint32_t)at;
        list[i].string = low_put_words(low, module->file, module->args);
    }
    info->mods_count = request->module_count;
    info->mods_addr = low_put(low, list, sizeof(list));
}

static void describe_memory(struct low_area *low, struct mb_info *info)
{
    const struct mb_mmap map[] = {
        {.size = 20, .addr = 0, .len = EBDA, .type = 1},
        {.size = 20, .addr = EBDA, .len = MIB - EBDA, .type = 2},
        {.size = 20, .addr = MIB, .len = low->guest.size - MIB, .type = 1},
    };

    info->mem_lower = EBDA / 1024;
    info->mem_upper = (uint32_t)((low->guest.size - MIB) / 1024);
    info->mmap_length = sizeof(map);
    info->mmap_addr = low_put(low, map, sizeof(map));
}

struct boot_entry multiboot_load(const struct boot_request *request, const struct image *kernel,
                                 struct guest_memory guest)
{
    struct low_area low = {.guest = guest, .next = INFO_AREA + sizeof(struct mb_info)};
    struct placement p = load_kernel(kernel, guest);
    struct mb_info info = {.flags =
                               HAS_MEMORY | HAS_CMDLINE | HAS_MODULES | HAS_MMAP | HAS_LOADER_NAME};

    if (request->initrd)
        die(STATUS_USAGE, "%s: --initrd %s: a Multiboot kernel takes --module", kernel->file,
            request->initrd);
    load_modules(request, &low, p.end, &info);
    describe_memory(&low, &info);
    info.cmdline = low_put_words(&low, request->kernel, request->append);
    info.boot_loader_name = low_put(&low, "vmm", 4);
    memcpy(guest.ram + INFO_AREA, &info, sizeof(info));
    return (struct boot_entry){.bits = 32, .ip = p.entry, .eax = LOADER_MAGIC, .ebx = INFO_AREA};
}
