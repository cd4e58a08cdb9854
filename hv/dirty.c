// The dirty log (KVM_MEM_LOG_DIRTY_PAGES, KVM_GET_DIRTY_LOG): which pages of a slot were written
// since the log was read last. No write is missed, whoever does it in the guest's name:
//
// - the guest: while a slot is logged its nested entries are 4 KiB pages, and writable only where
//   the page's bit is set; a write elsewhere faults and sets it (nested_fault). The guest's own
//   page walks write accessed and dirty bits through the same entries.
// - the kernel: guest_write sets the bit.
//
// Reading the log takes the bits and write-protects their pages before anybody could write again,
// and lets no vCPU keep an old translation when it returns. What the VMM itself writes through its
// own mapping it knows itself, as on Linux.

#include "hv/hv.h"

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"

#define BITS_A_PAGE (PAGE_SIZE * 8)
#define WORD_BITS 64

static u64 bitmap_pages(const struct memslot *s)
{
    return (s->size / PAGE_SIZE + BITS_A_PAGE - 1) / BITS_A_PAGE;
}

void dirty_stop(struct memslot *s)
{
    for (u64 i = 0; s->dirty && i < bitmap_pages(s); i++) {
        if (s->dirty[i])
            page_put(virt_to_page(s->dirty[i]));
    }
    kfree(s->dirty);
    s->dirty = NULL;
}

int dirty_start(struct vm *vm, struct memslot *s)
{
    u64 pages = bitmap_pages(s);

    s->dirty = kzalloc_charged(pages * sizeof(s->dirty[0]));
    if (!s->dirty)
        return -ENOMEM;
    for (u64 i = 0; i < pages; i++) {
        struct page *page = frame_alloc_charged(vm->cgroup, FRAME_ZERO);
        if (!page) {
            dirty_stop(s);
            return -ENOMEM;
        }
        s->dirty[i] = page_to_virt(page);
    }
    return 0;
}

void dirty_mark(struct memslot *s, u64 gpa)
{
    u64 page = (gpa - s->gpa) / PAGE_SIZE;

    if (s->dirty)
        s->dirty[page / BITS_A_PAGE][page % BITS_A_PAGE / WORD_BITS] |= BIT(page % WORD_BITS);
}

// Moves one page of the bitmap to `taken` and write-protects what it names.
static void take_bits(struct vm *vm, struct memslot *s, u64 index, u64 *taken)
{
    u64 first = s->gpa + index * BITS_A_PAGE * PAGE_SIZE, *bits = s->dirty[index];

    memcpy(taken, bits, PAGE_SIZE);
    memset(bits, 0, PAGE_SIZE);
    for (unsigned i = 0; i < PAGE_SIZE * 8 / WORD_BITS; i++) {
        for (u64 left = taken[i]; left; left &= left - 1)
            nested_protect(vm, first + (i * WORD_BITS + __builtin_ctzl(left)) * PAGE_SIZE);
    }
}

static void give_back(struct memslot *s, u64 index, const u64 *taken)
{
    for (unsigned i = 0; i < PAGE_SIZE / sizeof(u64); i++)
        s->dirty[index][i] |= taken[i];
}

// Copying to user space may sleep, and the slot may be another one after it: each round looks
// again.
static long copy_log(struct vm *vm, struct memslot *s, char __user *to, u64 *taken)
{
    for (u64 index = 0; s->dirty && index < bitmap_pages(s); index++) {
        u64 bits = s->size / PAGE_SIZE - index * BITS_A_PAGE,
            bytes = min((bits + WORD_BITS - 1) / WORD_BITS * sizeof(u64), PAGE_SIZE);
        take_bits(vm, s, index, taken);
        vm_kick_all(vm);
        if (copy_to_user(to + index * PAGE_SIZE, taken, bytes)) {
            if (s->dirty && index < bitmap_pages(s))
                give_back(s, index, taken);
            return -EFAULT;
        }
    }
    return 0;
}

long dirty_get(struct vm *vm, u64 arg)
{
    struct kvm_dirty_log log;

    if (copy_from_user(&log, (void __user *)arg, sizeof(log)))
        return -EFAULT;
    if (log.slot >= HV_MAX_SLOTS)
        return -EINVAL;
    if (!vm->slot[log.slot].dirty)
        return -ENOENT;
    u64 *taken = kmalloc_charged(PAGE_SIZE);
    if (!taken)
        return -ENOMEM;
    long err = copy_log(vm, &vm->slot[log.slot], log.dirty_bitmap, taken);
    kfree(taken);
    return err;
}
