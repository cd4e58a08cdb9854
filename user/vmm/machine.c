/* Making the virtual machine: the KVM objects and memory slots. */
#include "user/vmm/machine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "user/vmm/say.h"

uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void open_kvm(struct machine *m)
{
    m->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (m->kvm_fd < 0)
        die_errno("/dev/kvm");
    int version = ioctl(m->kvm_fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION)
        die(STATUS_USAGE, "/dev/kvm: API version %d, not %d", version, KVM_API_VERSION);
    if (ioctl(m->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) <= 0 ||
        ioctl(m->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0)
        die(STATUS_USAGE, "/dev/kvm: lacks user memory slots or immediate_exit");
    m->vm_fd = ioctl(m->kvm_fd, KVM_CREATE_VM, 0);
    if (m->vm_fd < 0)
        die_errno("KVM_CREATE_VM");
}

static bool set_slot(struct machine *m, uint32_t slot, uint32_t flags)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .flags = flags,
        .guest_phys_addr = m->slot[slot].start,
        .memory_size = m->slot[slot].end - m->slot[slot].start,
        .userspace_addr = (uintptr_t)m->ram + m->slot[slot].start,
    };
    return ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

bool machine_log(struct machine *m, bool on)
{
    bool done = true;

    for (uint32_t i = 0; i < SLOTS; i++)
        done &= set_slot(m, i, on ? KVM_MEM_LOG_DIRTY_PAGES : 0);
    return done;
}

static void make_memory(struct machine *m, uint64_t size)
{
    m->ram_size = size;
    m->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m->ram == MAP_FAILED)
        die_errno("%llu MiB of guest memory", (unsigned long long)(size / MIB));
    madvise(m->ram, size, MADV_HUGEPAGE); // nested pages of 2 MiB where the kernel can
    m->slot[0] = (struct machine_slot){0, HOLE_START};
    m->slot[1] = (struct machine_slot){HOLE_END, size};
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (!set_slot(m, i, 0))
            die_errno("KVM_SET_USER_MEMORY_REGION: slot %u", i);
    }
    m->written = calloc(size / PAGE_SIZE, 1);
    if (!m->written)
        die(STATUS_USAGE, "no memory");
}

struct guest_memory machine_memory(const struct machine *m)
{
    return (struct guest_memory){m->ram, m->ram_size, m->written};
}

static void make_chips(struct machine *m)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

    if (ioctl(m->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
        die_errno("KVM_CREATE_IRQCHIP");
    if (ioctl(m->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
        die_errno("KVM_CREATE_PIT2");
}

static void make_vcpu(struct machine *m, struct vcpu *v)
{
    v->m = m;
    v->id = (unsigned)(v - m->vcpu);
    v->fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, v->id);
    if (v->fd < 0)
        die_errno("KVM_CREATE_VCPU: vCPU %u", v->id);
    int size = ioctl(m->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(*v->run))
        die(STATUS_USAGE, "KVM_GET_VCPU_MMAP_SIZE: %d bytes are too few", size);
    v->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (v->run == MAP_FAILED)
        die_errno("kvm_run of vCPU %u", v->id);
    machine_set_cpuid(v);
}

void machine_create(struct machine *m, uint64_t ram_size, unsigned cpus)
{
    open_kvm(m);
    int most = ioctl(m->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    if (most > 0 && cpus > (unsigned)most)
        die(STATUS_USAGE, "--cpus %u: KVM has at most %d vCPUs", cpus, most);
    make_memory(m, ram_size);
    /* Intel's KVM without unrestricted guests wants room for a TSS; elsewhere it means nothing. */
    ioctl(m->vm_fd, KVM_SET_TSS_ADDR, 0xfffbd000ul);
    make_chips(m);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->pause_changed, NULL);
    m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->wake_fd < 0)
        die_errno("eventfd");
    m->vcpu_count = cpus;
    for (unsigned i = 0; i < cpus; i++)
        make_vcpu(m, &m->vcpu[i]);
    int khz = ioctl(m->vcpu[0].fd, KVM_GET_TSC_KHZ, 0);
    m->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
    bool has_msi = ioctl(m->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SIGNAL_MSI) > 0;
    m->bus.vm_fd = has_msi ? m->vm_fd : -1;
    cmos_init(&m->cmos, ram_size, cpus);
    uart_init(&m->com[0], STDOUT_FILENO);
    uart_init(&m->com[1], STDERR_FILENO);
}
