// Coalesced writes (KVM_REGISTER_COALESCED_MMIO): the guest's writes to a zone go into a ring in
// memory that the VMM shares, and wait there until it looks; a full ring makes the next one an
// exit. One ring a VM, behind the pages of each vCPU's kvm_run.

#include "hv/hv.h"

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/usercopy.h"

static bool within(const struct kvm_coalesced_mmio_zone *zone, bool pio, u64 addr, u64 size)
{
    return zone->size && !!zone->pio == pio && addr >= zone->addr && size <= zone->size &&
           addr - zone->addr <= zone->size - size;
}

// The VMM writes to the ring at any time: its indices are read once and checked.
static bool put(struct vm *vm, const struct kvm_coalesced_mmio *entry)
{
    struct kvm_coalesced_mmio_ring *ring = page_to_virt(vm->coalesced_page);
    u32 last = *(volatile u32 *)&ring->last, first = *(volatile u32 *)&ring->first;
    u32 next = (last + 1) % KVM_COALESCED_MMIO_MAX;

    if (last >= KVM_COALESCED_MMIO_MAX || next == first)
        return false;
    ring->coalesced_mmio[last] = *entry;
    *(volatile u32 *)&ring->last = next;
    return true;
}

bool coalesced_write(struct vm *vm, bool pio, u64 addr, u8 size, u64 value)
{
    struct kvm_coalesced_mmio entry = {.phys_addr = addr, .len = size, .pio = pio};
    u32 i = 0;

    while (i < HV_MAX_ZONES && !within(&vm->zone[i], pio, addr, size))
        i++;
    memcpy(entry.data, &value, sizeof(value));
    return i < HV_MAX_ZONES && put(vm, &entry);
}

static long add_zone(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone)
{
    for (u32 i = 0; i < HV_MAX_ZONES; i++) {
        if (vm->zone[i].size)
            continue;
        vm->zone[i] = *zone;
        vm->zones_used += zone->size != 0;
        return 0;
    }
    return -ENOSPC;
}

long coalesced_ioctl(struct vm *vm, u64 arg, bool add)
{
    struct kvm_coalesced_mmio_zone zone;

    if (copy_from_user(&zone, (void __user *)arg, sizeof(zone)))
        return -EFAULT;
    if (zone.pio > 1)
        return -EINVAL;
    if (add)
        return add_zone(vm, &zone);
    for (u32 i = 0; i < HV_MAX_ZONES; i++) {
        struct kvm_coalesced_mmio_zone *old = &vm->zone[i];
        if (!old->size || !within(&zone, old->pio, old->addr, old->size))
            continue;
        old->size = 0;
        vm->zones_used--;
    }
    return 0;
}
