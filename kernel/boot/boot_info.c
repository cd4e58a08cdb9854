// Copies what the boot loader left in memory, before anything else may overwrite it.
//
// The boot loader's structures are input: each address and count is checked before it is followed,
// and what is wrong is named and refused. The boot page tables map the first 4 GiB, which is all
// that 32-bit Multiboot can speak of.
#include "kernel/boot/boot_info.h"

#include "kernel/boot/multiboot.h"
#include "kernel/lib/string.h"
#include "kernel/x86/log.h"
#include "kernel/x86/paging.h"

#define KERNEL_LOAD 0x100000 // kernel.ld
#define MAX_MMAP_BYTES 65536

struct boot_info boot_info;

static void copy_string(char *dst, size_t size, u32 address, const char *what)
{
    if (!address)
        return;
    const char *src = phys_to_virt(address);
    if (strnlen(src, size) == size)
        panic("boot: %s is longer than %zu bytes\n", what, size - 1);
    memcpy(dst, src, strlen(src) + 1);
}

// Adds [start, end) cut inwards to pages, in order of addresses; ranges that touch become one.
static void add_ram(paddr_t start, paddr_t end)
{
    struct boot_range *r = boot_info.ram;
    unsigned i = 0;

    start = ALIGN_UP(start, PAGE_SIZE);
    end = ALIGN_DOWN(end, PAGE_SIZE);
    if (start >= end)
        return;
    while (i < boot_info.ram_count && r[i].end < start)
        i++;
    unsigned j = i;
    for (; j < boot_info.ram_count && r[j].start <= end; j++) {
        start = min(r[j].start, start);
        end = max(r[j].end, end);
    }
    // The new range stands for r[i] to r[j - 1].
    if (j == i && boot_info.ram_count == BOOT_MAX_RANGES)
        panic("boot: memory map has more than %d ranges of RAM\n", BOOT_MAX_RANGES);
    memmove(&r[i + 1], &r[j], (boot_info.ram_count - j) * sizeof(*r));
    r[i] = (struct boot_range){start, end};
    boot_info.ram_count += i + 1 - j;
}

static void read_memory_map(const struct multiboot_info *mb)
{
    if (!(mb->flags & MULTIBOOT_HAS_MMAP)) {
        if (!(mb->flags & MULTIBOOT_HAS_MEM))
            panic("boot: the boot loader gave no memory map\n");
        add_ram(0, mb->mem_lower * 1024UL);
        add_ram(0x100000, 0x100000 + mb->mem_upper * 1024UL);
        return;
    }
    if (mb->mmap_length > MAX_MMAP_BYTES)
        panic("boot: memory map of %u bytes is too long\n", mb->mmap_length);
    const u8 *p = phys_to_virt(mb->mmap_addr), *end = p + mb->mmap_length;
    while (p + sizeof(struct multiboot_mmap) <= end) {
        const struct multiboot_mmap *e = (const void *)p;
        if (e->size < sizeof(*e) - sizeof(e->size))
            panic("boot: memory map entry of %u bytes is too short\n", e->size);
        if (e->type == MULTIBOOT_MMAP_RAM && e->addr + e->len > e->addr)
            add_ram(e->addr, e->addr + e->len);
        p += e->size + sizeof(e->size);
    }
    if (!boot_info.ram_count)
        panic("boot: the memory map has no RAM\n");
}

static bool is_ram(paddr_t start, paddr_t end)
{
    for (unsigned i = 0; i < boot_info.ram_count; i++)
        if (start >= boot_info.ram[i].start && end <= boot_info.ram[i].end)
            return true;
    return false;
}

static void read_modules(const struct multiboot_info *mb)
{
    if (!(mb->flags & MULTIBOOT_HAS_MODULES))
        return;
    if (mb->mods_count > BOOT_MAX_MODULES)
        panic("boot: %u modules are more than %d\n", mb->mods_count, BOOT_MAX_MODULES);
    const struct multiboot_module *m = phys_to_virt(mb->mods_addr);
    for (unsigned i = 0; i < mb->mods_count; i++) {
        struct boot_module *b = &boot_info.module[i];
        b->start = m[i].start;
        b->end = m[i].end;
        copy_string(b->name, sizeof(b->name), m[i].string, "a module's string");
        if (b->end < b->start || !is_ram(b->start, b->end))
            panic("boot: module %u (%s): 0x%lx-0x%lx is not in RAM\n", i, b->name, b->start,
                  b->end);
        if (b->end > boot_info.kernel_start && b->start < boot_info.kernel_end)
            panic("boot: module %u (%s): 0x%lx-0x%lx is over the kernel\n", i, b->name, b->start,
                  b->end);
        boot_info.module_count = i + 1;
    }
}

void boot_info_init(paddr_t multiboot, paddr_t kernel_end)
{
    const struct multiboot_info *mb = phys_to_virt(multiboot);

    boot_info.kernel_start = KERNEL_LOAD;
    boot_info.kernel_end = kernel_end;
    if (mb->flags & MULTIBOOT_HAS_CMDLINE)
        copy_string(boot_info.cmdline, sizeof(boot_info.cmdline), mb->cmdline, "the command line");
    read_memory_map(mb);
    read_modules(mb);
}

bool boot_option(const char *name, char *buf, size_t size)
{
    size_t n = strlen(name);
    bool found = false;

    for (const char *p = boot_info.cmdline; *p;) {
        size_t word = 0;
        while (*p == ' ')
            p++;
        while (p[word] && p[word] != ' ')
            word++;
        if (word >= n && memcmp(p, name, n) == 0 && (word == n || p[n] == '=')) {
            size_t skip = word == n ? n : n + 1;
            size_t len = min(word - skip, size - 1);
            memcpy(buf, p + skip, len);
            buf[len] = '\0';
            found = true;
        }
        p += word;
    }
    return found;
}
