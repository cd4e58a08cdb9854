// The nested page table (AMD) or EPT (Intel): four levels of 512 entries from guest-physical to
// host-physical addresses. The shape is the vendors' common one; hv_ops->nested_entry makes the
// bits.
//
// Entries hold no reference to the pages: the VMM's address space does, and its watcher zaps an
// entry before the page changes. An entry of 2 MiB stands where a slot that is not logged has one
// block of memory (aspace_block); it goes whole when any page of the block does.

#include "hv/hv.h"

#include "kernel/lib/err.h"
#include "kernel/mm/frame.h"
#include "kernel/task/task.h"

#define LEVELS 4
#define LARGE_LEVEL 2 // of the tables whose entries map 2 MiB
#define LARGE_SIZE 0x200000UL

int nested_create(struct vm *vm)
{
    struct page *root = frame_alloc_charged(vm->cgroup, FRAME_ZERO);

    if (!root)
        return -ENOMEM;
    vm->nested_root = page_to_phys(root);
    vm->peeked = NOTHING_PEEKED;
    return 0;
}

static void free_table(paddr_t table, int level)
{
    u64 *entry = phys_to_virt(table);

    for (int i = 0; level > 1 && i < 512; i++) {
        if (entry[i] && !(entry[i] & PTE_PS))
            free_table(entry[i] & PTE_ADDR, level - 1);
    }
    page_put(phys_to_page(table));
}

void nested_destroy(struct vm *vm)
{
    if (vm->nested_root)
        free_table(vm->nested_root, LEVELS);
    vm->nested_root = 0;
}

// The entry of gpa in a table of `to_level`; NULL where a table is missing (create: where there is
// no memory for one).
static u64 *walk(struct vm *vm, u64 gpa, int to_level, bool create)
{
    u64 *entry = (u64 *)phys_to_virt(vm->nested_root) + pt_index(gpa, LEVELS);

#pragma GCC unroll 3 // each nested fault comes here
    for (int level = LEVELS - 1; level >= to_level; level--) {
        if (!*entry) {
            struct page *table = create ? frame_alloc_charged(vm->cgroup, FRAME_ZERO) : NULL;
            if (!table)
                return NULL;
            *entry = hv_ops->nested_entry(page_to_phys(table), false, true);
        }
        entry = (u64 *)phys_to_virt(*entry & PTE_ADDR) + pt_index(gpa, level);
    }
    return entry;
}

const void *nested_peek(struct vm *vm, u64 gpa)
{
    u64 page = gpa & PAGE_MASK, entry = vm->nested_root;
    int level = LEVELS;

    if (page != vm->peeked) {
        do
            entry = ((u64 *)phys_to_virt(entry & PTE_ADDR))[pt_index(gpa, level--)];
        while (level && entry && !(entry & PTE_PS));
        if (!entry)
            return NULL;
        vm->peeked = page;
        vm->peeked_at = phys_to_virt(entry & PTE_ADDR) + (level ? page & (LARGE_SIZE - 1) : 0);
    }
    return vm->peeked_at + (gpa & ~PAGE_MASK);
}

// The block of memory that the 2 MiB around gpa are, if one entry may map them.
static struct page *large_page(struct vm *vm, const struct memslot *s, u64 gpa)
{
    u64 start = ALIGN_DOWN(gpa, LARGE_SIZE), hva = s->hva + (start - s->gpa);

    if (s->dirty || s->flags & KVM_MEM_READONLY || hva & (LARGE_SIZE - 1) || start < s->gpa ||
        start + LARGE_SIZE > s->gpa + s->size)
        return NULL;
    return aspace_block(vm->aspace, hva);
}

static unsigned used_entries(paddr_t table)
{
    const u64 *entry = phys_to_virt(table);
    unsigned n = 0;

    for (int i = 0; i < 512; i++)
        n += entry[i] != 0;
    return n;
}

static int map_large(struct vm *vm, u64 gpa, struct page *block)
{
    u64 *entry = walk(vm, gpa, LARGE_LEVEL, true);

    if (!entry)
        return -ENOMEM;
    if (*entry && !(*entry & PTE_PS)) { // pages came one by one before
        paddr_t table = *entry & PTE_ADDR;
        *entry = 0;
        vm_kick_all(vm);
        vm->stats.pages_4k -= used_entries(table);
        free_table(table, 1);
    }
    vm->stats.pages_2m += !*entry;
    *entry = hv_ops->nested_entry(page_to_phys(block), true, true) | PTE_PS;
    return 0;
}

static int map_small(struct vcpu *v, u64 gpa, struct page *page, bool writable)
{
    u64 *entry = walk(v->vm, gpa, 1, true);

    if (!entry)
        return -ENOMEM;
    v->flush_wanted |= *entry != 0;
    v->vm->stats.pages_4k += !*entry;
    *entry = hv_ops->nested_entry(page_to_phys(page), true, writable);
    return 0;
}

int nested_fault(struct vcpu *v, u64 gpa, bool write)
{
    struct vm *vm = v->vm;
    struct memslot *s = slot_find(vm, gpa);
    bool writable;

    if (!s || (write && (s->flags & KVM_MEM_READONLY)))
        return 1;
    u64 hva = (s->hva + (gpa - s->gpa)) & PAGE_MASK;
    bool read_only = s->flags & KVM_MEM_READONLY;
    struct page *page = aspace_get_page(vm->aspace, hva, write, &writable);
    if (IS_ERR(page))
        return PTR_ERR(page);
    // aspace_get_page may have slept: the slot may be gone. After it nothing sleeps, so the page is
    // still mapped at hva.
    int err = 0;
    s = slot_find(vm, gpa);
    if (s && s->hva + ((gpa & PAGE_MASK) - s->gpa) == hva) {
        struct page *block = large_page(vm, s, gpa);
        if (write)
            dirty_mark(s, gpa);
        err = block ? map_large(vm, gpa, block)
                    : map_small(v, gpa, page, writable && !read_only && (write || !s->dirty));
    }
    page_put(page);
    return err;
}

// Zaps [gpa, end) below one table that covers guest-physical addresses from `base`. Returns whether
// there was anything.
static bool zap_table(struct vm *vm, paddr_t table, int level, u64 base, u64 gpa, u64 end)
{
    u64 *entry = phys_to_virt(table), span = 1UL << (12 + 9 * (level - 1));
    bool zapped = false;
    unsigned first = gpa > base ? (gpa - base) / span : 0;

    for (unsigned i = first; i < 512 && base + i * span < end; i++) {
        if (!entry[i])
            continue;
        if (level > 1 && !(entry[i] & PTE_PS)) {
            zapped |= zap_table(vm, entry[i] & PTE_ADDR, level - 1, base + i * span, gpa, end);
        } else {
            entry[i] = 0;
            zapped = true;
            *(level > 1 ? &vm->stats.pages_2m : &vm->stats.pages_4k) -= 1;
        }
    }
    return zapped;
}

void nested_protect(struct vm *vm, u64 gpa)
{
    u64 *entry = walk(vm, gpa, 1, false);

    if (entry && *entry)
        *entry = hv_ops->nested_entry(*entry & PTE_ADDR, true, false);
}

void nested_zap(struct vm *vm, u64 gpa, u64 size)
{
    vm->peeked = NOTHING_PEEKED;
    if (vm->nested_root && zap_table(vm, vm->nested_root, LEVELS, 0, gpa, gpa + size))
        vm_kick_all(vm);
}

// Makes each vCPU flush its nested translations before it executes another guest instruction, and
// waits until those in guest mode have left it: their CPUs answer the shoot-down only after
// #VMEXIT.
void vm_kick_all(struct vm *vm)
{
    u64 mask = 0;

    for (int i = 0; i < HV_MAX_VCPUS; i++) {
        struct vcpu *v = vm->vcpu[i];
        if (!v)
            continue;
        v->flush_wanted = true;
        if (v->in_guest)
            mask |= BIT(v->cpu);
    }
    vm->stats.remote_tlb_flush++;
    if (mask)
        tlb_shootdown(mask);
}
