/* Kernel files: reading them, and ELF. Every number in a file is checked before it is used. */
#include "user/vmm/image.h"

#include <linux/elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/vmm/machine.h"
#include "user/vmm/say.h"

/* The fields of a program header that both sizes of ELF have. */
struct segment {
    unsigned index;
    uint32_t type;
    uint64_t offset, vaddr, paddr, filesz, memsz;
};

struct elf {
    bool wide;
    uint64_t entry, phoff;
    unsigned phentsize, phnum;
};

struct image image_read(const char *file)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        die_errno("%s", file);
    if (!S_ISREG(st.st_mode))
        die(STATUS_USAGE, "%s: not a regular file", file);
    size_t size = (size_t)st.st_size, got = 0;
    uint8_t *data = malloc(size + 1);
    if (!data)
        die(STATUS_USAGE, "%s: %zu bytes do not fit into memory", file, size);
    while (got < size) {
        ssize_t n = read(fd, data + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            die_errno("%s", file);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    close(fd);
    return (struct image){.file = file, .data = data, .size = got};
}

void image_free(struct image *image)
{
    free(image->data);
    image->data = NULL;
}

void image_place(const struct image *image, struct guest_memory guest, const char *what,
                 uint64_t offset, uint64_t size, uint64_t address, uint64_t memory_size)
{
    unsigned long long at = address, end = address + memory_size;

    if (offset > image->size || size > image->size - offset)
        die(STATUS_USAGE,
            "%s: %s: file offset 0x%llx + size 0x%llx is past the file's end (0x%llx): truncated?",
            image->file, what, (unsigned long long)offset, (unsigned long long)size,
            (unsigned long long)image->size);
    if (size > memory_size)
        die(STATUS_USAGE, "%s: %s: file size 0x%llx is above memory size 0x%llx", image->file, what,
            (unsigned long long)size, (unsigned long long)memory_size);
    if (end < at || end > guest.size)
        die(STATUS_USAGE, "%s: %s: memory 0x%llx-0x%llx is outside the guest's %llu MiB",
            image->file, what, at, end, (unsigned long long)(guest.size / MIB));
    if (at < HOLE_END && end > HOLE_START)
        die(STATUS_USAGE, "%s: %s: memory 0x%llx-0x%llx is over the hole at 0xa0000", image->file,
            what, at, end);
    memcpy(guest.ram + address, image->data + offset, size);
    memset(guest.ram + address + size, 0, memory_size - size);
}

static struct elf read_elf(const struct image *image)
{
    const Elf32_Ehdr *e32 = (const void *)image->data;
    const Elf64_Ehdr *e64 = (const void *)image->data;

    if (image->size < sizeof(*e64))
        die(STATUS_USAGE, "%s: ELF header: truncated", image->file);
    if (e32->e_ident[EI_DATA] != ELFDATA2LSB)
        die(STATUS_USAGE, "%s: ELF header: EI_DATA %u is not little endian", image->file,
            e32->e_ident[EI_DATA]);
    if (e32->e_type != ET_EXEC)
        die(STATUS_USAGE, "%s: ELF header: e_type %u is not ET_EXEC", image->file, e32->e_type);
    if (e32->e_machine != EM_386 && e32->e_machine != EM_X86_64)
        die(STATUS_USAGE, "%s: ELF header: e_machine %u is not x86", image->file, e32->e_machine);
    if (e32->e_ident[EI_CLASS] == ELFCLASS32)
        return (struct elf){false, e32->e_entry, e32->e_phoff, e32->e_phentsize, e32->e_phnum};
    if (e32->e_ident[EI_CLASS] == ELFCLASS64)
        return (struct elf){true, e64->e_entry, e64->e_phoff, e64->e_phentsize, e64->e_phnum};
    die(STATUS_USAGE, "%s: ELF header: EI_CLASS %u is neither 32 nor 64 bit", image->file,
        e32->e_ident[EI_CLASS]);
}

static struct segment read_segment(const struct image *image, const struct elf *elf, unsigned i)
{
    const uint8_t *at = image->data + elf->phoff + (size_t)i * elf->phentsize;
    Elf32_Phdr p32;
    Elf64_Phdr p64;

    if (elf->wide) {
        memcpy(&p64, at, sizeof(p64));
        return (struct segment){i,           p64.p_type,   p64.p_offset, p64.p_vaddr,
                                p64.p_paddr, p64.p_filesz, p64.p_memsz};
    }
    memcpy(&p32, at, sizeof(p32));
    return (struct segment){i,           p32.p_type,   p32.p_offset, p32.p_vaddr,
                            p32.p_paddr, p32.p_filesz, p32.p_memsz};
}

static void check_program_headers(const struct image *image, const struct elf *elf)
{
    size_t least = elf->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

    if (elf->phentsize < least)
        die(STATUS_USAGE, "%s: ELF header: e_phentsize %u is below %zu", image->file,
            elf->phentsize, least);
    if (elf->phoff > image->size ||
        (uint64_t)elf->phentsize * elf->phnum > image->size - elf->phoff)
        die(STATUS_USAGE,
            "%s: ELF header: e_phoff 0x%llx: program headers are past the file's end: truncated?",
            image->file, (unsigned long long)elf->phoff);
}

struct placement image_load_elf(const struct image *image, struct guest_memory guest)
{
    struct elf elf = read_elf(image);
    struct placement p = {.start = UINT64_MAX, .wide = elf.wide};
    bool entered = false;

    check_program_headers(image, &elf);
    for (unsigned i = 0; i < elf.phnum; i++) {
        struct segment s = read_segment(image, &elf, i);
        if (s.type != PT_LOAD || !s.memsz)
            continue;
        char what[32] = "ELF segment ";
        size_t n = strlen(what);
        what[n] = (char)('0' + i / 10 % 10);
        what[n + 1] = (char)('0' + i % 10);
        image_place(image, guest, what, s.offset, s.filesz, s.paddr, s.memsz);
        p.start = s.paddr < p.start ? s.paddr : p.start;
        p.end = s.paddr + s.memsz > p.end ? s.paddr + s.memsz : p.end;
        if (elf.entry - s.vaddr < s.memsz) {
            p.entry = (uint32_t)(elf.entry - s.vaddr + s.paddr);
            entered = true;
        }
    }
    if (!p.end)
        die(STATUS_USAGE, "%s: ELF: no PT_LOAD segment", image->file);
    if (!entered)
        die(STATUS_USAGE, "%s: ELF header: e_entry 0x%llx is in no segment", image->file,
            (unsigned long long)elf.entry);
    return p;
}
