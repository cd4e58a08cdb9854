// The Multiboot 1 structures (Multiboot specification 0.6.96, chapter 3), as a boot loader leaves
// them in memory.
#pragma once

#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_HEADER_FLAGS 3 // modules page-aligned, memory map wanted
#define MULTIBOOT_LOADER_MAGIC 0x2badb002

#ifndef __ASSEMBLER__
#include "kernel/lib/types.h"

#define MULTIBOOT_HAS_MEM BIT(0)
#define MULTIBOOT_HAS_CMDLINE BIT(2)
#define MULTIBOOT_HAS_MODULES BIT(3)
#define MULTIBOOT_HAS_MMAP BIT(6)

struct multiboot_info {
    u32 flags;
    u32 mem_lower, mem_upper; // KiB
    u32 boot_device;
    u32 cmdline;
    u32 mods_count, mods_addr;
    u32 syms[4];
    u32 mmap_length, mmap_addr;
};
static_assert(offsetof(struct multiboot_info, mmap_addr) == 48, "Multiboot information");

struct multiboot_module {
    u32 start, end;
    u32 string;
    u32 reserved;
};
static_assert(sizeof(struct multiboot_module) == 16, "Multiboot module");

struct multiboot_mmap {
    u32 size; // of what follows this field
    u64 addr, len;
    u32 type; // 1: usable RAM
} __packed;
static_assert(sizeof(struct multiboot_mmap) == 24, "Multiboot memory map entry");

#define MULTIBOOT_MMAP_RAM 1
#endif
