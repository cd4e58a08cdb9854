/*
 * Loading Linux by its boot protocol (Documentation/arch/x86/boot.rst of Linux), whose names the
 * fields below have.
 *
 * Low memory: the GDT and the page tables that a 64-bit start needs, then at 0x10000 the zero page
 * and behind it the command line; for a real-mode start the kernel's own setup code, command line
 * included, at 0x90000 as of old. The kernel goes to its preferred address when it can be moved,
 * and the initial RAM disk as high as it may.
 */
#include "user/vmm/boot.h"

#include <asm/bootparam.h>
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "user/vmm/acpi.h"
#include "user/vmm/bios.h"
#include "user/vmm/machine.h"
#include "user/vmm/say.h"

enum { HEADER_AT = 0x1f1, JUMP_AT = 0x200, MAGIC_AT = 0x202, SECTOR = 512, PAGE = 4096 };
enum { ZERO_PAGE = 0x10000, CMDLINE = 0x11000, CMDLINE_END = 0x20000 };
enum { SETUP_AT = 0x90000, SETUP_CMDLINE = 0x9e000, SETUP_HEAP_END = 0xde00 };
enum { ENTRY_64 = 0x200, LOADER_UNDEFINED = 0xff, OLD_CMDLINE_SIZE = 255 };

#define OLD_INITRD_MAX 0x37ffffffu

static_assert(offsetof(struct boot_params, hdr) == HEADER_AT, "the setup header in the zero page");
static_assert(sizeof(struct boot_params) == PAGE, "the zero page");

/* The machine's only serial line for the guest is the console. */
static const char machine_words[] = "console=ttyS0 tsc=reliable 8250.nr_uarts=1 panic=-1";

/* A kernel of which the header was read and checked. */
struct linux_kernel {
    const struct image *image;
    struct setup_header header;
    size_t setup_size; /* the real-mode part; the kernel proper lies behind it */
    uint64_t start, end;
};

bool linux_is(const struct image *kernel)
{
    return kernel->size > MAGIC_AT + 4 && !memcmp(kernel->data + MAGIC_AT, "HdrS", 4);
}

/* The header ends where the jump at its start goes; fields behind it are of the code. */
static void read_header(struct linux_kernel *k)
{
    const struct image *image = k->image;
    struct setup_header *h = &k->header;
    size_t size = JUMP_AT + 2 + image->data[JUMP_AT + 1] - HEADER_AT;

    if (size > sizeof(*h))
        size = sizeof(*h);
    if (HEADER_AT + size > image->size)
        die(STATUS_USAGE, "%s: setup_header: truncated", image->file);
    memcpy(h, image->data + HEADER_AT, size);
    k->setup_size = ((h->setup_sects ? h->setup_sects : 4) + 1) * (size_t)SECTOR;
    if (h->version < 0x0202)
        die(STATUS_USAGE,
            "%s: setup_header: version 0x%04x: boot protocols before 2.02 are too old", image->file,
            h->version);
    if (!(h->loadflags & LOADED_HIGH))
        die(STATUS_USAGE, "%s: setup_header: loadflags 0x%02x: not a bzImage (LOADED_HIGH)",
            image->file, h->loadflags);
    if (k->setup_size >= image->size || h->syssize * 16ull > image->size - k->setup_size + 15)
        die(STATUS_USAGE,
            "%s: setup_header: setup_sects %u and syssize 0x%x: the file has only 0x%llx bytes: "
            "truncated?",
            image->file, h->setup_sects, h->syssize, (unsigned long long)image->size);
}

/* Before 2.10 a kernel does not say how much memory it needs to unpack itself. */
static void place_kernel(struct linux_kernel *k, struct guest_memory guest)
{
    const struct setup_header *h = &k->header;
    uint64_t size = k->image->size - k->setup_size, need = size;

    k->start = MIB;
    if (h->version >= 0x020a) {
        need = h->init_size > size ? h->init_size : size;
        if (h->relocatable_kernel && h->pref_address >= MIB && h->pref_address < guest.size &&
            guest.size - h->pref_address >= need)
            k->start = h->pref_address;
    }
    if (need > guest.size - MIB)
        die(STATUS_USAGE,
            "%s: setup_header: init_size 0x%llx: does not fit into the guest's %llu MiB",
            k->image->file, (unsigned long long)need, (unsigned long long)(guest.size / MIB));
    image_place(k->image, guest, "protected-mode kernel", k->setup_size, size, k->start, size);
    k->end = k->start + need;
}

/* As high as the kernel allows, so that nothing that it unpacks itself to comes near. */
static void place_initrd(struct linux_kernel *k, const char *file, struct guest_memory guest)
{
    struct image initrd = image_read(file);
    uint64_t max = k->header.version >= 0x0203 ? k->header.initrd_addr_max : OLD_INITRD_MAX;
    uint64_t top = max + 1 < guest.size ? max + 1 : guest.size;

    if (initrd.size > top || (top - initrd.size) / PAGE * PAGE < k->end)
        die(STATUS_USAGE,
            "%s: %llu bytes do not fit between the kernel's end at 0x%llx and 0x%llx (%s)", file,
            (unsigned long long)initrd.size, (unsigned long long)k->end, (unsigned long long)top,
            top == guest.size ? "the end of memory" : "initrd_addr_max");
    uint64_t at = (top - initrd.size) / PAGE * PAGE;
    image_place(&initrd, guest, "initrd", 0, initrd.size, at, initrd.size);
    k->header.ramdisk_image = (uint32_t)at;
    k->header.ramdisk_size = (uint32_t)initrd.size;
    image_free(&initrd);
}

static void put_cmdline(struct linux_kernel *k, const struct boot_request *request,
                        struct guest_memory guest, uint32_t at, uint32_t end)
{
    uint32_t max = k->header.version >= 0x0206 ? k->header.cmdline_size : OLD_CMDLINE_SIZE;
    const char *words = request->append ? request->append : "";
    const char *bus = request->pci ? "" : " pci=off";
    char clock[32] = "";

    if (request->tsc_khz)
        snprintf(clock, sizeof(clock), " tsc_early_khz=%u", (unsigned)request->tsc_khz);
    size_t size = strlen(machine_words) + strlen(bus) + strlen(clock) + 1 + strlen(words);
    if (max > end - at - 1)
        max = end - at - 1;
    if (size > max)
        die(STATUS_USAGE, "%s: setup_header: cmdline_size %u: the command line has %llu letters",
            k->image->file, max, (unsigned long long)size);
    sprintf((char *)guest.ram + at, "%s%s%s %s", machine_words, bus, clock, words);
    k->header.cmd_line_ptr = at;
}

static void describe_memory(struct boot_params *params, struct guest_memory guest)
{
    struct memory_range map[MEMORY_RANGES];

    static_assert(sizeof(map[0]) == sizeof(params->e820_table[0]), "an E820 entry");
    params->e820_entries = (uint8_t)boot_memory_map(guest.size, map);
    memcpy(params->e820_table, map, params->e820_entries * sizeof(map[0]));
    params->alt_mem_k = (uint32_t)((guest.size - MIB) / 1024);
}

static void put_zero_page(const struct linux_kernel *k, struct guest_memory guest)
{
    struct boot_params params = {.hdr = k->header, .acpi_rsdp_addr = ACPI_RSDP};

    params.screen_info.orig_video_mode = 3;
    params.screen_info.orig_video_cols = 80;
    params.screen_info.orig_video_lines = 25;
    describe_memory(&params, guest);
    memcpy(guest.ram + ZERO_PAGE, &params, sizeof(params));
}

/* The kernel's setup code runs in real mode at 0x90000 and asks the BIOS for what is in the zero
 * page otherwise. */
static struct boot_entry start_in_real_mode(struct linux_kernel *k, struct guest_memory guest)
{
    if (k->setup_size > SETUP_HEAP_END || k->start != MIB)
        die(STATUS_USAGE, "%s: setup_header: setup_sects %u: too many for a real-mode start",
            k->image->file, k->header.setup_sects);
    k->header.heap_end_ptr = SETUP_HEAP_END - 0x200;
    k->header.loadflags |= CAN_USE_HEAP;
    image_place(k->image, guest, "setup code", 0, k->setup_size, SETUP_AT, k->setup_size);
    memcpy(guest.ram + SETUP_AT + HEADER_AT, &k->header,
           JUMP_AT + 2 + k->image->data[JUMP_AT + 1] - HEADER_AT);
    bios_put(guest.ram);
    return (struct boot_entry){.bits = 16, .segment = SETUP_AT / 16 + 0x20};
}

struct boot_entry linux_load(const struct boot_request *request, const struct image *kernel,
                             struct guest_memory guest)
{
    struct linux_kernel k = {.image = kernel};
    unsigned bits = request->start;

    read_header(&k);
    bool has64 = k.header.version >= 0x020c && k.header.xloadflags & XLF_KERNEL_64;
    if (bits == 64 && !has64)
        die(STATUS_USAGE, "%s: setup_header: xloadflags 0x%x: no 64-bit entry", kernel->file,
            k.header.xloadflags);
    if (!bits)
        bits = has64 ? 64 : 32;
    if (bits == 16)
        k.header.relocatable_kernel = 0;
    place_kernel(&k, guest);
    if (request->initrd)
        place_initrd(&k, request->initrd, guest);
    k.header.type_of_loader = LOADER_UNDEFINED;
    k.header.code32_start = (uint32_t)k.start;
    if (bits == 16) {
        put_cmdline(&k, request, guest, SETUP_CMDLINE, EBDA);
        return start_in_real_mode(&k, guest);
    }
    put_cmdline(&k, request, guest, CMDLINE, CMDLINE_END);
    put_zero_page(&k, guest);
    return (struct boot_entry){
        .bits = bits, .ip = k.start + (bits == 64 ? ENTRY_64 : 0), .esi = ZERO_PAGE};
}

/* vmlinux itself, unpacked: it has no header, and wants one from the loader. */
struct boot_entry linux_load_elf(const struct boot_request *request, const struct image *kernel,
                                 struct guest_memory guest)
{
    struct linux_kernel k = {.image = kernel,
                             .header = {.boot_flag = 0xaa55,
                                        .header = 0x53726448, /* "HdrS" */
                                        .version = 0x020f,
                                        .type_of_loader = LOADER_UNDEFINED,
                                        .loadflags = LOADED_HIGH,
                                        .cmdline_size = CMDLINE_END - CMDLINE - 1,
                                        .initrd_addr_max = 0x7fffffff}};
    struct placement p = image_load_elf(kernel, guest);

    if (p.start < CMDLINE_END)
        die(STATUS_USAGE, "%s: load address 0x%llx is over the boot information (below 0x%x)",
            kernel->file, (unsigned long long)p.start, CMDLINE_END);
    k.start = p.start;
    k.end = p.end;
    if (request->initrd)
        place_initrd(&k, request->initrd, guest);
    put_cmdline(&k, request, guest, CMDLINE, CMDLINE_END);
    put_zero_page(&k, guest);
    return (struct boot_entry){.bits = p.wide ? 64 : 32, .ip = p.entry, .esi = ZERO_PAGE};
}
