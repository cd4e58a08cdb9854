// Checking and mapping ELF files. See elf.h.
//
// The file is input that nobody has checked: every number is compared with what it indexes before
// it is used.
#include "kernel/task/elf.h"

#include <linux/mman.h>

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/slab.h"
#include "kernel/x86/log.h"

static int bad(const char *path, const char *what)
{
    kprintf("exec: %s: %s\n", path, what);
    return -ENOEXEC;
}

// What is not ELF at all is refused quietly: a shell tries it as a script.
static int check_header(const Elf64_Ehdr *h, u64 size, const char *path)
{
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
        return -ENOEXEC;
    if (h->e_ident[EI_CLASS] != ELFCLASS64)
        return bad(path, "e_ident: not a 64-bit ELF file");
    if (h->e_ident[EI_DATA] != ELFDATA2LSB)
        return bad(path, "e_ident: not little-endian");
    if (h->e_machine != EM_X86_64)
        return bad(path, "e_machine: not x86-64");
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
        return bad(path, "e_type: neither an executable nor position-independent");
    if (h->e_phentsize != sizeof(Elf64_Phdr))
        return bad(path, "e_phentsize: not that of ELF64");
    if (h->e_phnum == 0 || h->e_phnum > ELF_MAX_SEGMENTS)
        return bad(path, "e_phnum: no program headers, or too many");
    if (h->e_phoff > size || size - h->e_phoff < h->e_phnum * sizeof(Elf64_Phdr))
        return bad(path, "e_phoff: the program headers lie outside the file");
    return 0;
}

static int check_load(const Elf64_Phdr *p, u64 size, const char *path)
{
    if (p->p_offset > size || p->p_filesz > size - p->p_offset)
        return bad(path, "p_filesz: a segment ends behind the end of the file");
    if (p->p_filesz > p->p_memsz)
        return bad(path, "p_memsz: a segment is smaller in memory than in the file");
    if ((p->p_offset ^ p->p_vaddr) & ~PAGE_MASK)
        return bad(path, "p_vaddr: a segment's address and offset differ within the page");
    if (p->p_vaddr >= USER_END || p->p_memsz > USER_END - p->p_vaddr)
        return bad(path, "p_vaddr: a segment lies outside user space");
    return 0;
}

static int check_segments(struct elf_image *image, u64 size, const char *path)
{
    image->low = USER_END;
    image->high = 0;
    image->interpreter = NULL;
    for (int i = 0; i < image->header.e_phnum; i++) {
        const Elf64_Phdr *p = &image->segment[i];
        if (p->p_type == PT_INTERP)
            image->interpreter = p;
        if (p->p_type != PT_LOAD || p->p_memsz == 0)
            continue;
        int err = check_load(p, size, path);
        if (err)
            return err;
        image->low = min(image->low, (u64)p->p_vaddr & PAGE_MASK);
        image->high = max(image->high, (u64)ALIGN_UP(p->p_vaddr + p->p_memsz, PAGE_SIZE));
    }
    if (image->high == 0)
        return bad(path, "e_phnum: no segment to load");
    if (image->header.e_type == ET_EXEC && image->low < PAGE_SIZE)
        return bad(path, "p_vaddr: a segment lies in the first page");
    return 0;
}

int elf_read(struct exec_file *f, const char *path, struct elf_image *image)
{
    long n = f->read(f, &image->header, sizeof(image->header), 0);

    if (n < 0)
        return n;
    if (n < (long)sizeof(image->header))
        return n >= SELFMAG && memcmp(image->header.e_ident, ELFMAG, SELFMAG) == 0
                   ? bad(path, "truncated ELF header")
                   : -ENOEXEC;
    int err = check_header(&image->header, f->size, path);
    if (err)
        return err;
    size_t bytes = image->header.e_phnum * sizeof(Elf64_Phdr);
    n = f->read(f, image->segment, bytes, image->header.e_phoff);
    if (n != (long)bytes)
        return n < 0 ? (int)n : bad(path, "truncated program headers");
    return check_segments(image, f->size, path);
}

static u32 protection(const Elf64_Phdr *p)
{
    return (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
           (p->p_flags & PF_X ? PROT_EXEC : 0);
}

// Clears memory of the new program from `at` to the end of its page.
static int clear_page_tail(struct aspace *as, vaddr_t at)
{
    static const char zeros[256];

    while (at & ~PAGE_MASK) {
        size_t n = min(sizeof(zeros), (size_t)(PAGE_SIZE - (at & ~PAGE_MASK)));
        if (aspace_write(as, at, zeros, n) != n)
            return -ENOMEM;
        at += n;
    }
    return 0;
}

// The part that is in the file is a private mapping of it; what p_memsz adds is zeros.
static int map_segment(struct exec_file *f, const Elf64_Phdr *p, struct aspace *as, u64 bias)
{
    u64 start = (bias + p->p_vaddr) & PAGE_MASK, file_end = bias + p->p_vaddr + p->p_filesz;
    u64 end = ALIGN_UP(bias + p->p_vaddr + p->p_memsz, PAGE_SIZE), mapped = start;
    u32 prot = protection(p), flags = MAP_PRIVATE | MAP_FIXED;

    if (p->p_filesz) {
        mapped = ALIGN_UP(file_end, PAGE_SIZE);
        long at = aspace_map(as, start, mapped - start, prot, flags, f->object,
                             p->p_offset / PAGE_SIZE, f->file, NULL);
        if (at < 0)
            return at;
        if (p->p_memsz > p->p_filesz && (prot & PROT_WRITE) && clear_page_tail(as, file_end))
            return -ENOMEM;
    }
    if (end <= mapped)
        return 0;
    long at =
        aspace_map(as, mapped, end - mapped, prot, flags | MAP_ANONYMOUS, NULL, 0, NULL, NULL);
    return at < 0 ? (int)at : 0;
}

// Where ET_DYN goes: all of it has to fit at one place.
static int choose_bias(struct elf_image *image, struct aspace *as, u64 base)
{
    u64 span = image->high - image->low;

    image->bias = 0;
    if (image->header.e_type == ET_EXEC)
        return 0;
    if (!base) {
        long at =
            aspace_map(as, 0, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, NULL, NULL);
        if (at < 0)
            return at;
        base = at;
    }
    if (base > USER_END || span > USER_END - base)
        return -ENOMEM;
    image->bias = base - image->low;
    return 0;
}

int elf_map(struct exec_file *f, const char *path, struct elf_image *image, struct aspace *as,
            u64 base)
{
    int err = choose_bias(image, as, base);

    image->headers = 0;
    for (int i = 0; i < image->header.e_phnum && !err; i++) {
        const Elf64_Phdr *p = &image->segment[i];
        if (p->p_type != PT_LOAD || p->p_memsz == 0)
            continue;
        err = map_segment(f, p, as, image->bias);
        u64 offset = image->header.e_phoff;
        if (offset >= p->p_offset && offset - p->p_offset < p->p_filesz)
            image->headers = image->bias + p->p_vaddr + (offset - p->p_offset);
    }
    if (err)
        kprintf("exec: %s: cannot map a segment: error %d\n", path, -err);
    return err;
}
