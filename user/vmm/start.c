/* The vCPU's first register values, for each way to enter a kernel. */
#include "user/vmm/machine.h"

#include <string.h>
#include <sys/ioctl.h>

#include "user/vmm/say.h"

/* What a 64-bit start needs in low memory; a kernel makes its own soon. */
enum { GDT = 0x1000, TABLES = 0x2000, TABLE_ENTRIES = 512, STACK_16 = 0xfff0 };

enum { CR0_PE = 1, CR0_ET = 0x10, CR4_PAE = 0x20, EFER_LME = 0x100, EFER_LMA = 0x400 };
enum { PTE_TABLE = 0x3, PTE_LARGE = 0x83 };
#define CR0_PG 0x80000000u

/* Linux wants its code and data at these selectors; nobody else cares. */
enum { SELECTOR_CODE = 0x10, SELECTOR_DATA = 0x18 };

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
    return (struct kvm_segment){.base = 0,
                                .limit = 0xffffffff,
                                .selector = selector,
                                .type = type,
                                .present = 1,
                                .db = 1,
                                .s = 1,
                                .g = 1};
}

/* The first 4 GiB where they are, in pages of 2 MiB: SDM 3A, 4.5. */
static void put_page_tables(uint8_t *ram)
{
    uint64_t *pml4 = (void *)(ram + TABLES), *pdpt = pml4 + TABLE_ENTRIES,
             *pd = pdpt + TABLE_ENTRIES;

    memset(pml4, 0, 2 * TABLE_ENTRIES * sizeof(*pml4));
    pml4[0] = (TABLES + 0x1000) | PTE_TABLE;
    for (uint64_t i = 0; i < 4; i++)
        pdpt[i] = (TABLES + 0x2000 + i * 0x1000) | PTE_TABLE;
    for (uint64_t i = 0; i < 4 * TABLE_ENTRIES; i++)
        pd[i] = i * (2 * MIB) | PTE_LARGE;
}

static void put_gdt(struct machine *m, struct kvm_sregs *sregs, bool wide)
{
    const uint64_t gdt[] = {0, 0, wide ? 0x00af9b000000ffff : 0x00cf9b000000ffff,
                            0x00cf93000000ffff};

    memcpy(m->ram + GDT, gdt, sizeof(gdt));
    sregs->gdt.base = GDT;
    sregs->gdt.limit = sizeof(gdt) - 1;
}

static void start_flat(struct machine *m, struct kvm_sregs *sregs, bool wide)
{
    put_gdt(m, sregs, wide);
    sregs->cs = flat_segment(SELECTOR_CODE, 0xb);
    sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = flat_segment(SELECTOR_DATA, 0x3);
    sregs->cr0 = CR0_PE | CR0_ET;
    sregs->cr3 = sregs->cr4 = sregs->efer = 0;
    if (!wide)
        return;
    put_page_tables(m->ram);
    sregs->cs.db = 0;
    sregs->cs.l = 1;
    sregs->cr0 |= CR0_PG;
    sregs->cr3 = TABLES;
    sregs->cr4 = CR4_PAE;
    sregs->efer = EFER_LME | EFER_LMA;
}

/* All segments at the kernel's setup code, CS 0x20 paragraphs into it: boot.rst, "Running the
 * kernel". */
static void start_real(struct kvm_sregs *sregs, uint16_t segment)
{
    struct kvm_segment *const data[] = {&sregs->ds, &sregs->es, &sregs->fs, &sregs->gs, &sregs->ss};

    for (unsigned i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
        data[i]->selector = (uint16_t)(segment - 0x20);
        data[i]->base = data[i]->selector * 16u;
    }
    sregs->cs.selector = segment;
    sregs->cs.base = segment * 16u;
    sregs->cr0 = CR0_ET;
}

void machine_start_at(struct machine *m, const struct boot_entry *entry)
{
    struct kvm_sregs sregs;

    if (ioctl(m->vcpu[0].fd, KVM_GET_SREGS, &sregs) < 0)
        die_errno("KVM_GET_SREGS");
    if (entry->bits == 16)
        start_real(&sregs, entry->segment);
    else
        start_flat(m, &sregs, entry->bits == 64);
    if (ioctl(m->vcpu[0].fd, KVM_SET_SREGS, &sregs) < 0)
        die_errno("KVM_SET_SREGS");
    struct kvm_regs regs = {.rip = entry->ip,
                            .rax = entry->eax,
                            .rbx = entry->ebx,
                            .rsi = entry->esi,
                            .rsp = entry->bits == 16 ? STACK_16 : 0,
                            .rflags = 2};
    if (ioctl(m->vcpu[0].fd, KVM_SET_REGS, &regs) < 0)
        die_errno("KVM_SET_REGS");
}
