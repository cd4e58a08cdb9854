/* bt: boots a small 32-bit Multiboot kernel by binary translation, or with --interpret by
 * interpretation, with its serial line on standard output. */
#include "user/bt/bt.h"

#include <linux/elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAGIC = 0x1badb002, LOADER_MAGIC = 0x2badb002, HEADER_WITHIN = 8192 };
enum { INFO = 0x10000, COMMAND_LINE = 0x10100, MAX_COMMAND_LINE = 2048, MAX_FILE = 4 * MIB };

static const char usage[] = "usage: bt [--interpret] [--stats] [--append \"CMDLINE\"] KERNEL";
static struct cpu *cpu;
static bool stats;

void die(int status, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("bt: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(status);
}

void die_at(uint32_t eip, const char *what)
{
    char bytes[3 * 8 + 1] = "";

    for (uint32_t n = 0; n < 8; n++)
        snprintf(bytes + 3 * n, 4, " %02x", memory_read(eip + n, 1) & 0xff);
    die(STATUS_CRASHED, "EIP 0x%x, bytes%s: %s", eip, bytes, what);
}

void guest_ends(int status)
{
    fflush(stdout);
    if (stats)
        fprintf(stderr, "bt: %lu instructions interpreted, %lu entries, %lu blocks, %lu dropped\n",
                cpu->interpreted, cpu->entries, cpu->blocks, cpu->dropped);
    exit(status);
}

/* Loads the segments and returns the physical entry point. */
static uint32_t load_elf(const char *name, const uint8_t *data, size_t size)
{
    const Elf32_Ehdr *e = (const void *)data;
    uint32_t entry = 0;
    Elf32_Phdr p;

    if (size < sizeof(*e) || memcmp(data, ELFMAG, SELFMAG) || e->e_ident[EI_CLASS] != ELFCLASS32 ||
        e->e_machine != EM_386 || e->e_type != ET_EXEC)
        die(STATUS_USAGE, "%s: not a 32-bit x86 ELF program", name);
    for (unsigned n = 0; n < e->e_phnum; n++) {
        if (e->e_phoff > size || (n + 1) * sizeof(p) > size - e->e_phoff)
            die(STATUS_USAGE, "%s: ELF program headers are past the file's end: truncated?", name);
        memcpy(&p, data + e->e_phoff + n * sizeof(p), sizeof(p));
        if (p.p_type != PT_LOAD || !p.p_memsz)
            continue;
        if (p.p_filesz > p.p_memsz || p.p_offset > size || p.p_filesz > size - p.p_offset)
            die(STATUS_USAGE, "%s: ELF segment %u: past the file's end: truncated?", name, n);
        if (p.p_paddr < MIB || p.p_paddr > RAM_SIZE || p.p_memsz > RAM_SIZE - p.p_paddr)
            die(STATUS_USAGE,
                "%s: ELF segment %u: 0x%x is outside of the guest's memory, 1 to 16 MiB", name, n,
                p.p_paddr);
        memcpy(GUEST_BASE + p.p_paddr, data + p.p_offset, p.p_filesz);
        if (e->e_entry - p.p_vaddr < p.p_memsz)
            entry = e->e_entry - p.p_vaddr + p.p_paddr;
    }
    if (!entry)
        die(STATUS_USAGE, "%s: ELF header: e_entry 0x%x is in no segment", name, e->e_entry);
    return entry;
}

/* Loads a Multiboot kernel, and tells it the size of memory and its command line. */
static void boot(const char *name, const char *append)
{
    static uint8_t data[MAX_FILE];
    uint32_t info[30] = {1 | 4, 640, RAM_SIZE / 1024 - 1024, 0, COMMAND_LINE}, header[3] = {0};
    FILE *file = fopen(name, "r");
    size_t size = file ? fread(data, 1, MAX_FILE, file) : 0;
    bool found = false;

    if (!file || ferror(file) || size == MAX_FILE)
        die(STATUS_USAGE, "%s: %s", name, size == MAX_FILE ? "too large" : strerror(errno));
    fclose(file);
    for (size_t at = 0; at + 12 <= size && at + 12 <= HEADER_WITHIN && !found; at += 4) {
        memcpy(header, data + at, 12);
        found = header[0] == HEADER_MAGIC && !(header[0] + header[1] + header[2]);
    }
    if (!found)
        die(STATUS_USAGE, "%s: no Multiboot header in its first %d bytes", name, HEADER_WITHIN);
    cpu->eip = load_elf(name, data, size);
    memcpy(GUEST_BASE + INFO, info, sizeof(info));
    snprintf((char *)GUEST_BASE + COMMAND_LINE, MAX_COMMAND_LINE, "%s %s", name, append);
    cpu->regs[EAX] = LOADER_MAGIC;
    cpu->regs[EBX] = INFO;
}

int main(int argc, char **argv)
{
    const char *append = "";
    bool interpret_only = false;
    int i;

    for (i = 1; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--interpret"))
            interpret_only = true;
        else if (!strcmp(argv[i], "--stats"))
            stats = true;
        else if (!strcmp(argv[i], "--append") && i + 1 < argc)
            append = argv[++i];
        else
            die(STATUS_USAGE, "%s: unknown option, or its value is missing; %s", argv[i], usage);
    }
    if (i + 1 != argc)
        die(STATUS_USAGE, "%s", usage);
    cpu = cpu_create();
    cpu->translating = !interpret_only;
    cache_init(cpu);
    boot(argv[i], append);
    return run(cpu);
}
