// Late launch, the part that both vendors share: the hypervisor's memory and the root partition's
// nested page table, which is the identity but for one hole, that memory.

#include "hv/root.h"

#include "hv/hv.h"
#include "kernel/boot/boot_info.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/log.h"
#include "kernel/x86/paging.h"
#include "kernel/x86/percpu.h"

#define OWN_ORDER 9 // 2 MiB: one entry of the nested table covers it
#define OWN_SIZE (PAGE_SIZE << OWN_ORDER)
#define TABLE_SPAN (512 * OWN_SIZE) // a level-2 table's: 1 GiB
#define DEVICES_END (4UL << 30)     // the machine's devices are below 4 GiB

bool root_partition;
paddr_t root_nested;

static paddr_t own, own_next;

void *root_alloc(unsigned pages)
{
    paddr_t at = own_next;

    if (at + pages * PAGE_SIZE > own + OWN_SIZE)
        panic("viv.root: the hypervisor's %lu MiB are used up", OWN_SIZE >> 20);
    own_next += pages * PAGE_SIZE;
    return phys_to_virt(at);
}

bool root_owns(paddr_t pa, u64 size)
{
    return pa < own + OWN_SIZE && own < pa + size;
}

// 2 MiB entries for all RAM and devices; the hypervisor's own entry stays empty.
static void build_nested(void)
{
    paddr_t end = DEVICES_END;
    u64 *top = root_alloc(1), *directory = root_alloc(1);

    for (unsigned i = 0; i < boot_info.ram_count; i++)
        end = max(end, boot_info.ram[i].end);
    root_nested = virt_to_phys(top);
    top[0] = hv_ops->nested_entry(virt_to_phys(directory), false, true);
    for (paddr_t base = 0; base < end; base += TABLE_SPAN) {
        u64 *table = root_alloc(1);
        directory[base / TABLE_SPAN] = hv_ops->nested_entry(virt_to_phys(table), false, true);
        for (unsigned i = 0; i < 512; i++) {
            paddr_t pa = base + i * OWN_SIZE;
            if (pa != own)
                table[i] = hv_ops->nested_entry(pa, true, true) | PTE_PS;
        }
    }
}

void root_init(void)
{
    char value[16];

    if (!boot_option("viv.root", value, sizeof(value)))
        return;
    if (strcmp(value, "guest") != 0) {
        kprintf("viv.root=%s: the only value is guest\n", value);
        return;
    }
    if (!hv_ops) {
        kprintf("viv.root=guest: this machine has no virtualization\n");
        return;
    }
    struct page *block = frame_alloc(OWN_ORDER, FRAME_ZERO);
    if (!block) {
        kprintf("viv.root=guest: no %lu MiB of memory in one piece\n", OWN_SIZE >> 20);
        return;
    }
    own = own_next = page_to_phys(block);
    build_nested();
    root_partition = true;
    kprintf("viv.root: the hypervisor keeps %#lx-%#lx, the kernel goes on in the root partition\n",
            own, own + OWN_SIZE - 1);
}

void root_enter_cpu(void)
{
    if (root_partition)
        hv_ops->root_enter_cpu();
}

void root_cpuid(u64 *reg)
{
    static const char name[] = "VivariumRoot";
    u32 leaf = reg[RAX];
    struct cpuid c = cpuid(leaf, reg[RCX]);

    if (leaf == 1)
        c.ecx |= BIT(31);
    if (leaf == 0x40000000) {
        c.eax = leaf;
        memcpy(&c.ebx, name, 4);
        memcpy(&c.ecx, name + 4, 4);
        memcpy(&c.edx, name + 8, 4);
    }
    reg[RAX] = c.eax;
    reg[RBX] = c.ebx;
    reg[RCX] = c.ecx;
    reg[RDX] = c.edx;
}
