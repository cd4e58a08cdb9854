// Memory slots: which guest-physical addresses are which of the VMM's virtual ones.
// KVM_SET_USER_MEMORY_REGION.

#include "hv/hv.h"

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/task/task.h"

struct memslot *slot_find(struct vm *vm, u64 gpa)
{
    struct memslot *s = &vm->slot[vm->last_slot];

    if (gpa - s->gpa < s->size) // an unused slot has size 0
        return s;
    for (u32 i = 0; i < vm->slot_end; i++) {
        s = &vm->slot[i];
        if (gpa - s->gpa < s->size) {
            vm->last_slot = i;
            return s;
        }
    }
    return NULL;
}

static bool overlaps(struct vm *vm, u32 id, u64 gpa, u64 size)
{
    for (u32 i = 0; i < HV_MAX_SLOTS; i++) {
        const struct memslot *s = &vm->slot[i];
        if (i != id && s->used && gpa < s->gpa + s->size && s->gpa < gpa + size)
            return true;
    }
    return false;
}

// The errors are KVM's: EINVAL for what is misaligned, out of range or changes a slot's size;
// EEXIST for an overlap.
static int slot_check(struct vm *vm, const struct kvm_userspace_memory_region *r)
{
    if (r->slot >= HV_MAX_SLOTS || (r->flags & ~(KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES)))
        return -EINVAL;
    if ((r->memory_size | r->guest_phys_addr | r->userspace_addr) & ~PAGE_MASK)
        return -EINVAL;
    if (r->guest_phys_addr + r->memory_size < r->guest_phys_addr ||
        r->guest_phys_addr + r->memory_size > HV_MAX_GPA)
        return -EINVAL;
    if (r->userspace_addr + r->memory_size < r->userspace_addr ||
        r->userspace_addr + r->memory_size > USER_END)
        return -EINVAL;

    const struct memslot *old = &vm->slot[r->slot];
    if (r->memory_size == 0)
        return old->used ? 0 : -EINVAL;
    if (old->used && (old->size != r->memory_size || old->hva != r->userspace_addr ||
                      ((old->flags ^ r->flags) & KVM_MEM_READONLY)))
        return -EINVAL;
    return overlaps(vm, r->slot, r->guest_phys_addr, r->memory_size) ? -EEXIST : 0;
}

// Makes, moves, deletes (size 0) or begins and ends the log of a slot, which goes with it when it
// moves. Pages of the old place are out of the nested tables, and every vCPU has left guest mode
// once, when this returns.
int slot_set(struct vm *vm, const struct kvm_userspace_memory_region *r)
{
    int err = slot_check(vm, r);

    if (err)
        return err;
    struct memslot *s = &vm->slot[r->slot], new = {
                                                .used = r->memory_size != 0,
                                                .flags = r->flags,
                                                .gpa = r->guest_phys_addr,
                                                .size = r->memory_size,
                                                .hva = r->userspace_addr,
                                            };
    bool logs = new.used && (new.flags &KVM_MEM_LOG_DIRTY_PAGES);
    if (logs && s->dirty)
        new.dirty = s->dirty;
    else if (logs)
        err = dirty_start(vm, &new);
    if (err)
        return err;
    if (s->used)
        nested_zap(vm, s->gpa, s->size);
    if (!logs)
        dirty_stop(s);
    *s = new;
    vm->slot_end = max(vm->slot_end, r->slot + 1);
    return 0;
}

void slots_destroy(struct vm *vm)
{
    for (int i = 0; i < HV_MAX_SLOTS; i++)
        dirty_stop(&vm->slot[i]);
}

// Copies between the kernel and one page's part of guest memory; returns the bytes done or -EFAULT.
static long access_page(struct vm *vm, u64 gpa, void *buf, size_t n, bool write)
{
    struct memslot *s = slot_find(vm, gpa);
    bool writable;

    if (!s || !vm->aspace || (write && (s->flags & KVM_MEM_READONLY)))
        return -EFAULT;
    vaddr_t hva = s->hva + (gpa - s->gpa);
    size_t offset = hva & ~PAGE_MASK, chunk = min(n, (size_t)PAGE_SIZE - offset);
    struct page *page = aspace_get_page(vm->aspace, hva & PAGE_MASK, write, &writable);
    if (IS_ERR(page))
        return -EFAULT;
    char *at = (char *)page_to_virt(page) + offset;
    if (write) {
        memcpy(at, buf, chunk);
        s = slot_find(vm, gpa); // another one, perhaps, after the sleep
        if (s)
            dirty_mark(s, gpa);
    } else {
        memcpy(buf, at, chunk);
    }
    page_put(page);
    return chunk;
}

static int access_guest(struct vm *vm, u64 gpa, char *buf, size_t n, bool write)
{
    while (n) {
        long done = access_page(vm, gpa, buf, n, write);
        if (done < 0)
            return done;
        gpa += done;
        buf += done;
        n -= done;
    }
    return 0;
}

int guest_read(struct vm *vm, u64 gpa, void *buf, size_t n)
{
    // What the guest itself has touched is in the nested table: the short way, and nothing sleeps.
    const void *at = (gpa & ~PAGE_MASK) + n <= PAGE_SIZE ? nested_peek(vm, gpa) : NULL;

    if (at) {
        memcpy(buf, at, n);
        return 0;
    }
    return access_guest(vm, gpa, buf, n, false);
}

int guest_write(struct vm *vm, u64 gpa, const void *buf, size_t n)
{
    return access_guest(vm, gpa, (char *)buf, n, true);
}
