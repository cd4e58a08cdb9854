// The kernel's own page tables: the image with its protections, and the direct map.
//
// All tables that may ever change hang below two PML4 entries that exist from paging_init() on, so
// the copies of the upper half in each address space stay true. The direct map covers at least the
// first 4 GiB; 2 MiB pages there, so that RAM and device registers differ in their memory type, and
// 1 GiB pages above where the CPU has them.
#include "kernel/x86/paging.h"

#include "kernel/boot/boot_info.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/log.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/trap.h"

#define GIB (1UL << 30)
#define LARGE (1UL << 21)
#define ENTRIES 512
#define LOW_GIBS 4
#define PD_POOL 16
#define IMAGE_TABLES 8 // 16 MiB of kernel image
#define TABLE (PTE_P | PTE_W | PTE_A)
#define DATA (PTE_P | PTE_W | PTE_A | PTE_D | PTE_G | PTE_NX)
#define UNCACHED (PTE_PCD | PTE_PWT)
#define DIRECT_GIBS ENTRIES // what one PML4 entry can map

static pte_t pml4[ENTRIES] __aligned(PAGE_SIZE);
static pte_t direct_pdpt[ENTRIES] __aligned(PAGE_SIZE);
static pte_t image_pdpt[ENTRIES] __aligned(PAGE_SIZE);
static pte_t image_pd[ENTRIES] __aligned(PAGE_SIZE);
static pte_t image_pt[IMAGE_TABLES][ENTRIES] __aligned(PAGE_SIZE);
static pte_t pd_pool[PD_POOL][ENTRIES] __aligned(PAGE_SIZE);
static unsigned pd_used;
static bool has_gib_pages;
static u64 direct_size;

extern char kernel_text_start[], kernel_text_end[], kernel_rodata_start[], kernel_rodata_end[],
    kernel_end[];

static bool has_ram(paddr_t start, paddr_t end)
{
    for (unsigned i = 0; i < boot_info.ram_count; i++)
        if (start < boot_info.ram[i].end && end > boot_info.ram[i].start)
            return true;
    return false;
}

static pte_t memory_type(paddr_t start, u64 size)
{
    return has_ram(start, start + size) ? 0 : UNCACHED;
}

// Maps one GiB of the direct map; false if there is no table left for it.
static bool map_gib(u64 gib)
{
    paddr_t start = gib * GIB;

    if (gib >= DIRECT_GIBS)
        return false;
    if (gib >= LOW_GIBS && has_gib_pages) {
        direct_pdpt[gib] = start | DATA | PTE_PS | memory_type(start, GIB);
        return true;
    }
    if (pd_used == PD_POOL)
        return false;
    pte_t *pd = pd_pool[pd_used++];
    for (u64 i = 0; i < ENTRIES; i++) {
        paddr_t pa = start + i * LARGE;
        pd[i] = pa | DATA | PTE_PS | memory_type(pa, LARGE);
    }
    direct_pdpt[gib] = virt_to_phys(pd) | TABLE;
    return true;
}

// Gives up RAM from `end` on, which the direct map cannot reach.
static void forget_ram_from(paddr_t end)
{
    kprintf("paging: RAM above %lu GiB is not used\n", end / GIB);
    while (boot_info.ram_count && boot_info.ram[boot_info.ram_count - 1].start >= end)
        boot_info.ram_count--;
    struct boot_range *last = &boot_info.ram[boot_info.ram_count - 1];
    last->end = min(last->end, end);
}

static void map_direct(void)
{
    paddr_t ram_end = boot_info.ram[boot_info.ram_count - 1].end;
    u64 gibs = max(ALIGN_UP(ram_end, GIB) / GIB, (u64)LOW_GIBS);

    has_gib_pages = cpuid(0x80000001, 0).edx >> 26 & 1;
    for (u64 i = 0; i < gibs; i++) {
        if (!map_gib(i)) {
            forget_ram_from(i * GIB);
            gibs = i;
        }
    }
    direct_size = gibs * GIB;
    pml4[pt_index(DIRECT_MAP, 4)] = virt_to_phys(direct_pdpt) | TABLE;
}

static pte_t image_protection(u64 va)
{
    if (va >= (u64)kernel_text_start && va < (u64)kernel_text_end)
        return PTE_P | PTE_A | PTE_G;
    if (va >= (u64)kernel_rodata_start && va < (u64)kernel_rodata_end)
        return PTE_P | PTE_A | PTE_G | PTE_NX;
    return DATA;
}

static void map_image(void)
{
    u64 end = (u64)kernel_end;

    if (end - KERNEL_BASE > IMAGE_TABLES * LARGE)
        panic("paging: the kernel is larger than %lu MiB\n", IMAGE_TABLES * LARGE >> 20);
    for (u64 va = (u64)kernel_text_start & PAGE_MASK; va < end; va += PAGE_SIZE)
        image_pt[(va - KERNEL_BASE) / LARGE][pt_index(va, 1)] =
            (va - KERNEL_BASE) | image_protection(va);
    for (unsigned i = 0; i < IMAGE_TABLES; i++)
        image_pd[pt_index(KERNEL_BASE, 2) + i] = virt_to_phys(image_pt[i]) | TABLE;
    image_pdpt[pt_index(KERNEL_BASE, 3)] = virt_to_phys(image_pd) | TABLE;
    pml4[pt_index(KERNEL_BASE, 4)] = virt_to_phys(image_pdpt) | TABLE;
}

void paging_init(void)
{
    map_direct();
    map_image();
    write_cr3(kernel_pml4());
}

paddr_t kernel_pml4(void)
{
    return virt_to_phys(pml4);
}

u64 direct_map_size(void)
{
    return direct_size;
}

void *mmio_map(paddr_t pa, size_t size)
{
    for (u64 gib = pa / GIB; gib <= (pa + size - 1) / GIB; gib++)
        if (!(direct_pdpt[gib % ENTRIES] & PTE_P) && !map_gib(gib))
            panic("paging: no place to map registers at 0x%lx\n", pa);
    return phys_to_virt(pa);
}

void tlb_flush_local(void)
{
    write_cr3(read_cr3());
}

void tlb_shootdown(u64 cpu_mask)
{
    struct percpu *me = this_cpu();
    u64 waiting = 0;

    for_each_cpu (cpu) {
        if (cpu == me || !cpu->online || !(cpu_mask & BIT(cpu->id)))
            continue;
        waiting |= BIT(cpu->id);
        __atomic_store_n(&cpu->tlb_flush_wanted, true, __ATOMIC_RELEASE);
        ipi_send(cpu->id, VEC_TLB);
    }
    if (cpu_mask & BIT(me->id))
        tlb_flush_local();
    for_each_cpu (cpu)
        while ((waiting & BIT(cpu->id)) &&
               __atomic_load_n(&cpu->tlb_flush_wanted, __ATOMIC_ACQUIRE))
            cpu_relax();
}
