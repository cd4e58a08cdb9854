#pragma once
/* Random ioctls on /dev/kvm, VMs and vCPUs, and what a monitor may do to its guest's memory. */
#include "tests/fuzz/kvm_fuzz.h"

#include <linux/sched.h>
#include <sched.h>
#include <sys/eventfd.h>

static const unsigned long any_request[] = {
    KVM_GET_API_VERSION,
    KVM_CREATE_VM,
    KVM_CHECK_EXTENSION,
    KVM_GET_VCPU_MMAP_SIZE,
    KVM_GET_SUPPORTED_CPUID,
    KVM_GET_MSR_INDEX_LIST,
    KVM_SET_USER_MEMORY_REGION,
    KVM_CREATE_VCPU,
    KVM_SET_TSS_ADDR,
    KVM_SET_IDENTITY_MAP_ADDR,
    KVM_CREATE_IRQCHIP,
    KVM_IRQ_LINE,
    KVM_IRQ_LINE_STATUS,
    KVM_CREATE_PIT,
    KVM_CREATE_PIT2,
    KVM_SET_GSI_ROUTING,
    KVM_SIGNAL_MSI,
    KVM_GET_IRQCHIP,
    KVM_SET_IRQCHIP,
    KVM_GET_PIT2,
    KVM_SET_PIT2,
    KVM_REINJECT_CONTROL,
    KVM_GET_CLOCK,
    KVM_SET_CLOCK,
    KVM_GET_DIRTY_LOG,
    KVM_CLEAR_DIRTY_LOG,
    KVM_IOEVENTFD,
    KVM_IRQFD,
    KVM_ENABLE_CAP,
    KVM_SET_BOOT_CPU_ID,
    KVM_GET_REGS,
    KVM_SET_REGS,
    KVM_GET_SREGS,
    KVM_SET_SREGS,
    KVM_SET_CPUID2,
    KVM_GET_CPUID2,
    KVM_INTERRUPT,
    KVM_GET_MSRS,
    KVM_SET_MSRS,
    KVM_GET_FPU,
    KVM_SET_FPU,
    KVM_NMI,
    KVM_SET_SIGNAL_MASK,
    KVM_GET_VCPU_EVENTS,
    KVM_SET_VCPU_EVENTS,
    KVM_GET_XSAVE,
    KVM_SET_XSAVE,
    KVM_GET_XCRS,
    KVM_SET_XCRS,
    KVM_GET_DEBUGREGS,
    KVM_SET_DEBUGREGS,
    KVM_GET_TSC_KHZ,
    KVM_SET_TSC_KHZ,
    KVM_GET_LAPIC,
    KVM_SET_LAPIC,
    KVM_GET_MP_STATE,
    KVM_SET_MP_STATE,
    KVM_TRANSLATE,
    KVM_SET_GUEST_DEBUG,
    KVM_REGISTER_COALESCED_MMIO,
    KVM_UNREGISTER_COALESCED_MMIO,
    KVM_SET_NR_MMU_PAGES,
    KVM_KVMCLOCK_CTRL,
    KVM_GET_MSR_FEATURE_INDEX_LIST,
    KVM_HAS_DEVICE_ATTR,
    KVM_GET_DEVICE_ATTR,
    KVM_SET_DEVICE_ATTR,
    KVM_RUN,
};

/* State that is read, changed in a few places and written back comes deeper than noise. */
static const struct {
    unsigned long get, set;
    unsigned size;
    bool vm;
} pairs[] = {
    {KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs), false},
    {KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs), false},
    {KVM_GET_FPU, KVM_SET_FPU, sizeof(struct kvm_fpu), false},
    {KVM_GET_XSAVE, KVM_SET_XSAVE, sizeof(struct kvm_xsave), false},
    {KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs), false},
    {KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events), false},
    {KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs), false},
    {KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state), false},
    {KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(struct kvm_mp_state), false},
    {KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, sizeof(struct kvm_irqchip), true},
    {KVM_GET_PIT2, KVM_SET_PIT2, sizeof(struct kvm_pit_state2), true},
    {KVM_GET_CLOCK, KVM_SET_CLOCK, sizeof(struct kvm_clock_data), true},
};

static int random_fd(struct target *t)
{
    switch (rnd() % 6) {
    case 0:
        return t->kvm;
    case 1:
    case 2:
        return t->vm;
    case 3:
        return t->more[rnd() % MAX_FDS];
    default:
        return t->vcpu[rnd() % (unsigned)t->vcpus];
    }
}

/* Descriptors that ioctls make are kept, and used, until others take their places. */
static void keep_fd(struct target *t, int fd)
{
    int old = __sync_lock_test_and_set(&t->more[rnd() % MAX_FDS], fd);

    if (old >= 0)
        close(old);
}

static uintptr_t random_pointer(struct target *t, void *buffer)
{
    const uintptr_t some[] = {0,
                              1,
                              0x7ffffffff000,
                              0xffff888000000000,
                              UINTPTR_MAX,
                              (uintptr_t)t->run[0],
                              (uintptr_t)t->mem,
                              (uintptr_t)t->mem + RAM - 4};

    return one_in(3) ? some[rnd() % (sizeof(some) / sizeof(some[0]))] : (uintptr_t)buffer;
}

static void spoil(void *buffer, size_t size, unsigned places)
{
    for (unsigned i = 0; i < places; i++) {
        uint64_t value = odd_value();
        size_t n = 1ull << rnd() % 4;
        if (n <= size)
            memcpy((uint8_t *)buffer + rnd() % (size - n + 1), &value, n);
    }
}

static void write_back(struct target *t, void *buffer)
{
    unsigned which = rnd() % (sizeof(pairs) / sizeof(pairs[0]));
    int fd = pairs[which].vm ? t->vm : t->vcpu[rnd() % (unsigned)t->vcpus];

    if (pairs[which].get == KVM_GET_IRQCHIP)
        ((struct kvm_irqchip *)buffer)->chip_id = rnd() % 4;
    if (checked_ioctl(fd, pairs[which].get, (uintptr_t)buffer) < 0)
        return;
    spoil(buffer, pairs[which].size, rnd() % 4);
    checked_ioctl(fd, pairs[which].set, (uintptr_t)buffer);
}

static void random_msrs(struct target *t, void *buffer)
{
    static const uint32_t some[] = {
        0x10,       0x1b,       0x8b,       0xfe,       0x174,      0x175,      0x176,
        0x1a0,      0x1d9,      0x277,      0x2ff,      0x6e0,      0x802,      0x808,
        0x80b,      0x80f,      0x830,      0x832,      0x838,      0x83e,      0x83f,
        0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102,
        0xc0000103, 0xc0010117, 0x11,       0x12,       0x4b564d00, 0x4b564d01, 0xc0010004};
    struct kvm_msrs *msrs = buffer;

    msrs->nmsrs = rnd() % 8;
    for (unsigned i = 0; i < msrs->nmsrs; i++) {
        msrs->entries[i].index =
            one_in(8) ? 0x800 + rnd() % 64 : some[rnd() % (sizeof(some) / sizeof(some[0]))];
        msrs->entries[i].data = one_in(2) ? odd_value() : (rnd() % (RAM + 8192)) | 1;
    }
    checked_ioctl(t->vcpu[rnd() % (unsigned)t->vcpus], one_in(2) ? KVM_SET_MSRS : KVM_GET_MSRS,
                  (uintptr_t)buffer);
}

/* Interrupts as devices send them, and routes for them. */
static void random_interrupt(struct target *t, void *buffer)
{
    struct kvm_irq_level line = {.irq = rnd() % 32, .level = rnd() % 2};
    struct kvm_msi msi = {.address_lo = 0xfee00000 | (rnd() & 0xff00c), .data = rnd() & 0xffff};
    struct kvm_irq_routing *routes = buffer;

    if (one_in(3)) {
        checked_ioctl(t->vm, KVM_IRQ_LINE, (uintptr_t)&line);
    } else if (one_in(2)) {
        checked_ioctl(t->vm, KVM_SIGNAL_MSI, (uintptr_t)&msi);
    } else {
        memset(buffer, 0, sizeof(*routes) + 16 * sizeof(routes->entries[0]));
        routes->nr = rnd() % 16;
        for (unsigned i = 0; i < routes->nr; i++) {
            routes->entries[i].gsi = i;
            routes->entries[i].type = 1 + rnd() % 2;
            routes->entries[i].u.irqchip.irqchip = rnd() % 3;
            routes->entries[i].u.irqchip.pin = rnd() % 24;
        }
        spoil(buffer, BUFFER / 8, one_in(4));
        checked_ioctl(t->vm, KVM_SET_GSI_ROUTING, (uintptr_t)buffer);
    }
}

/* Descriptors that carry interrupts and guests' writes, and those of statistics. */
static void random_events(struct target *t, void *buffer)
{
    int fd = t->more[rnd() % MAX_FDS];
    struct kvm_irqfd irq = {.fd = (uint32_t)fd, .gsi = rnd() % 26, .flags = rnd() % 4};
    struct kvm_ioeventfd io = {.fd = fd,
                               .addr = one_in(2) ? 0x80 : odd_value(),
                               .len = 1u << rnd() % 4,
                               .flags = rnd() % 8};
    uint64_t count = one_in(2) ? 1 : odd_value();

    switch (rnd() % 6) {
    case 0:
        keep_fd(t, eventfd((unsigned)rnd() % 3, EFD_NONBLOCK));
        break;
    case 1:
        irq.resamplefd = (uint32_t)t->more[rnd() % MAX_FDS];
        checked_ioctl(t->vm, KVM_IRQFD, (uintptr_t)&irq);
        break;
    case 2:
        checked_ioctl(t->vm, KVM_IOEVENTFD, (uintptr_t)&io);
        break;
    case 3:
        if (write(fd, &count, sizeof(count)) < 0)
            break;
        break;
    case 4:
        keep_fd(t, checked_ioctl(one_in(2) ? t->vm : t->vcpu[0], KVM_GET_STATS_FD, 0));
        break;
    default:
        if (pread(fd, buffer, rnd() % BUFFER, one_in(2) ? 0 : (off_t)odd_value()) < 0)
            break;
        break;
    }
}

/* The dirty log, and writes that wait in a ring, with arguments that are nearly right. */
static void random_log(struct target *t, void *buffer)
{
    struct kvm_dirty_log log = {.slot = rnd() % 4, .dirty_bitmap = buffer};
    struct kvm_clear_dirty_log clear = {.slot = rnd() % 4,
                                        .num_pages = 64 * (rnd() % 9),
                                        .first_page = 64 * (rnd() % 9),
                                        .dirty_bitmap = buffer};
    struct kvm_coalesced_mmio_zone zone = {
        .addr = odd_value(), .size = one_in(2) ? 8 : (uint32_t)odd_value(), .pio = one_in(2)};

    if (one_in(2))
        checked_ioctl(t->vm, KVM_GET_DIRTY_LOG, (uintptr_t)&log);
    else if (one_in(2))
        checked_ioctl(t->vm, KVM_CLEAR_DIRTY_LOG, (uintptr_t)&clear);
    else
        checked_ioctl(t->vm,
                      one_in(3) ? KVM_UNREGISTER_COALESCED_MMIO : KVM_REGISTER_COALESCED_MMIO,
                      (uintptr_t)&zone);
}

/* A slot of any place, size and flags, over memory that is the guest's to spoil: its own and the
 * holes around it, and addresses where nothing is. */
static void random_region(struct target *t, void *buffer)
{
    struct kvm_userspace_memory_region *r = buffer;
    bool ours = one_in(2);

    spoil(r, sizeof(*r), 4);
    r->slot = one_in(4) ? r->slot : rnd() % 70;
    r->flags = one_in(4) ? r->flags : rnd() % 4;
    r->userspace_addr =
        ours ? (uintptr_t)t->mem - HOLE + rnd() % (RAM + HOLE) : NOWHERE + (rnd() >> 18);
    if (!one_in(8))
        r->userspace_addr &= ~0xfffull;
    if (ours && r->memory_size > HOLE)
        r->memory_size %= HOLE;
    checked_ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, (uintptr_t)r);
}

static void random_ioctl(struct target *t)
{
    static __thread uint64_t buffer[BUFFER / 8];
    unsigned long request = any_request[rnd() % (sizeof(any_request) / sizeof(any_request[0]))];

    switch (rnd() % 8) {
    case 0:
    case 1:
        write_back(t, buffer);
        return;
    case 2:
        random_msrs(t, buffer);
        return;
    case 3:
        random_interrupt(t, buffer);
        return;
    case 4:
        random_events(t, buffer);
        return;
    case 5:
        random_log(t, buffer);
        return;
    default:
        break;
    }
    if (request == KVM_RUN && !one_in(8))
        return; /* would keep this thread */
    if (request == KVM_SET_USER_MEMORY_REGION) {
        random_region(t, buffer);
        return;
    }
    spoil(buffer, sizeof(buffer), 64);
    if (one_in(2))
        buffer[0] = rnd() % 6;
    if (one_in(16))
        request = rnd();
    uintptr_t argument = one_in(4) ? rnd() % 20 : random_pointer(t, buffer);
    int fd = random_fd(t), result = checked_ioctl(fd, request, argument);
    if (result > 2 && (request == KVM_CREATE_VM || request == KVM_CREATE_VCPU))
        keep_fd(t, result);
}

/* -- memory -------------------------------------------------------------------------------------*/
static void random_slot(struct target *t)
{
    static const uint64_t sizes[] = {0, 0x1000, 0x10000, RAM, RAM, 0x400000};
    uint32_t slot = rnd() % 4;
    uint64_t gpa = slot == 0 && !one_in(4) ? 0 : (rnd() % 0x800) << 12,
             size = sizes[rnd() % (sizeof(sizes) / sizeof(sizes[0]))];
    const void *host = t->mem;

    if (one_in(8)) {
        host = t->run[0];
        size = 0x2000;
    }
    if (one_in(8))
        gpa = odd_value() & ~0xfffull;
    set_slot(t->vm, slot, gpa, size, host, one_in(4) ? (uint32_t)rnd() % 4 : 0);
    if (one_in(2)) /* and back */
        set_slot(t->vm, 0, 0, RAM, t->mem, 0);
}

/* Takes pages of the guest away, or the right to write them; whoever misses them makes new ones
 * (on_fault). */
static void random_memory(struct target *t)
{
    size_t first = rnd() % (RAM / 4096), count = 1 + rnd() % (one_in(4) ? 64 : 4);
    uint8_t *at = t->mem + first * 4096;

    if (first + count > RAM / 4096)
        count = 1;
    switch (rnd() % 6) {
    case 0:
        munmap(at, count * 4096);
        break;
    case 1:
        mprotect(at, count * 4096, (int)rnd() % 4);
        break;
    case 2:
        madvise(at, count * 4096, MADV_DONTNEED);
        break;
    case 3:
        mmap(at, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0);
        break;
    default:
        random_slot(t);
        break;
    }
    if (one_in(4))
        mprotect(t->mem, RAM, PROT_READ | PROT_WRITE);
    sched_yield();
}
