// with: kernel/boot/boot_info.c
// The boot loader's structures: taken over as they are when right, refused by name when wrong.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "kernel/boot/boot_info.h"
#include "kernel/boot/multiboot.h"
#include "kernel/x86/log.h"
#include "kernel/x86/paging.h"
#include "tests/unit/expect.h"

#define KERNEL_END 0x300000
#define INFO 0x9000
#define MMAP 0xa000
#define MODS 0xb000
#define TEXT 0xc000

static void *ram; // 16 MiB of make-believe RAM
static struct multiboot_info *mb;
static jmp_buf refused;
static char reason[256];

void panic(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    longjmp(refused, 1);
}

static void add_range(u64 addr, u64 len, u32 type)
{
    struct multiboot_mmap *e = phys_to_virt(MMAP + mb->mmap_length);
    *e = (struct multiboot_mmap){.size = 20, .addr = addr, .len = len, .type = type};
    mb->mmap_length += sizeof(*e);
}

static void add_module(u32 start, u32 end, const char *name)
{
    struct multiboot_module *m = phys_to_virt(MODS);
    u32 text = TEXT + mb->mods_count * 64;
    strcpy(phys_to_virt(text), name);
    m[mb->mods_count++] = (struct multiboot_module){.start = start, .end = end, .string = text};
}

// A right set of structures, for each test to spoil.
static void good(void)
{
    memset(ram, 0, 0x100000);
    memset(&boot_info, 0, sizeof(boot_info));
    mb = phys_to_virt(INFO);
    mb->flags = MULTIBOOT_HAS_CMDLINE | MULTIBOOT_HAS_MODULES | MULTIBOOT_HAS_MMAP;
    mb->mmap_addr = MMAP;
    mb->mods_addr = MODS;
    mb->cmdline = TEXT - 256;
    strcpy(phys_to_virt(mb->cmdline), "kernel viv.limit=3 viv.log viv.limit=50 viv.limited=7");
    add_range(0, 0x9fc00, 1);
    add_range(0xf0000, 0x10000, 2);
    add_range(0x100000, 0xf00000, 1);
    add_module(0x400000, 0x401234, "root.cpio");
}

static bool accepted(void)
{
    reason[0] = '\0';
    if (setjmp(refused))
        return false;
    boot_info_init(INFO, KERNEL_END);
    return true;
}

static void expect_refused(const char *why)
{
    expect(accepted(), false);
    if (!strstr(reason, why)) {
        printf("expected a refusal with \"%s\", actual \"%s\"\n", why, reason);
        failures++;
    }
}

static void takes_over_what_is_right(void)
{
    good();
    expect(accepted(), true);
    expect(boot_info.ram_count, 2);
    expect(boot_info.ram[0].end, 0x9f000); // cut inwards to pages
    expect(boot_info.ram[1].start, 0x100000);
    expect(boot_info.module_count, 1);
    expect(boot_info.module[0].end, 0x401234);
    expect(strcmp(boot_info.module[0].name, "root.cpio"), 0);
}

static void sorts_and_joins_ranges(void)
{
    good();
    mb->mmap_length = 0;
    add_range(0x800000, 0x800000, 1);
    add_range(0, 0x9f000, 1);
    add_range(0x100000, 0x400000, 1);
    add_range(0x500000, 0x300000, 1);
    add_range(0xffffffffffff0000, 0x20000, 1); // wraps: not RAM
    expect(accepted(), true);
    expect(boot_info.ram_count, 2);
    expect(boot_info.ram[1].start, 0x100000);
    expect(boot_info.ram[1].end, 0x1000000);
}

static void options_are_whole_words_and_the_last_counts(void)
{
    char value[32] = "untouched";

    good();
    accepted();
    expect(boot_option("viv.limit", value, sizeof(value)), true);
    expect(strcmp(value, "50"), 0);
    expect(boot_option("viv.log", value, sizeof(value)), true);
    expect(strcmp(value, ""), 0);
    expect(boot_option("viv.lim", value, sizeof(value)), false);
    expect(boot_option("viv.limited", value, 1), true);
    expect(strcmp(value, ""), 0);
}

static void refuses_what_is_wrong_by_name(void)
{
    good();
    mb->flags = 0;
    expect_refused("no memory map");
    good();
    mb->mmap_length = 0;
    expect_refused("no RAM");
    good();
    mb->mmap_length = 0x7fffffff;
    expect_refused("too long");
    good();
    ((struct multiboot_mmap *)phys_to_virt(MMAP))->size = 4;
    expect_refused("too short");
    good();
    add_module(0x500000, 0x4fffff, "reversed");
    expect_refused("reversed");
    good();
    add_module(0x500000, 0x2000000, "beyond");
    expect_refused("beyond");
    good();
    add_module(KERNEL_END - 1, 0x500000, "over");
    expect_refused("over the kernel");
    good();
    mb->mods_count = 0x10000000;
    expect_refused("more than");
    good();
    memset(phys_to_virt(mb->cmdline), 'x', 4000);
    expect_refused("command line");
}

int main(void)
{
    ram = mmap(phys_to_virt(0), 0x1000000, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    expect(ram == phys_to_virt(0), true);
    takes_over_what_is_right();
    sorts_and_joins_ranges();
    options_are_whole_words_and_the_last_counts();
    refuses_what_is_wrong_by_name();
    return failures != 0;
}
