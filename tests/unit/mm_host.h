// Make-believe RAM for unit tests of kernel/mm on the host, and how such tests report.
#pragma once
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "kernel/boot/boot_info.h"
#include "kernel/mm/frame.h"
#include "kernel/x86/log.h"
#include "tests/unit/expect.h"

struct boot_info boot_info;

void panic(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    exit(1);
}

void kprintf(const char *fmt, ...)
{
    (void)fmt;
}

// Maps RAM for physical addresses [start, end) and tells boot_info.
__unused static void host_ram(paddr_t start, paddr_t end)
{
    void *want = phys_to_virt(start);
    if (mmap(want, end - start, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0) != want)
        panic("cannot map make-believe RAM at %p", want);
    boot_info.ram[boot_info.ram_count++] = (struct boot_range){start, end};
}

// A machine with 1 MiB to 16 MiB of RAM and a kernel in its second MiB.
__unused static void host_machine(void)
{
    host_ram(0x1000, 0x9f000);
    host_ram(0x100000, 0x1000000);
    boot_info.kernel_start = 0x100000;
    boot_info.kernel_end = 0x1ff800;
    frame_init();
}
