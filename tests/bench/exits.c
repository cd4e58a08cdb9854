/* What virtual machines cost: exits that the kernel handles, exits to user space and back, and the
 * making of one. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define GUEST_BASE 0x1000
#define SLOT_SIZE 0xa0000 /* a PC's low memory: what is above is MMIO */
#define MEMORY_SIZE 0x200000
#define TURNS 16

struct machine {
    int kvm, vm, vcpu;
    uint8_t *memory;
    struct kvm_run *run;
    size_t run_size;
};

/* The guest, in real mode. Each OUT is an exit to us; what lies before it is measured. */
static const uint8_t guest_code[] = {
    0xb8, 0x00,  0xb8, 0x8e, 0xd8, // mov $0xb800, %ax; mov %ax, %ds
    0xb8, 0x00,  0x50, 0x8e, 0xc0, // mov $0x5000, %ax; mov %ax, %es
    0xe6, 0x10,                    // out %al, $0x10
    0xbe, TURNS, 0x00,             // mov $TURNS, %si
    0x31, 0xc0,  0x0f, 0xa2,       // 1: xor %ax, %ax; cpuid
    0xe6, 0x11,                    // out %al, $0x11
    0x4e, 0x75,  0xf7,             // dec %si; jne 1b
    0x26, 0xa2,  0x00, 0x00,       // 2: mov %al, %es:0
    0xe6, 0x12,                    // out %al, $0x12
    0x8c, 0xc3,                    // mov %es, %bx
    0x81, 0xc3,  0x00, 0x01,       // add $0x100, %bx
    0x8e, 0xc3,                    // mov %bx, %es
    0x80, 0xff,  0x60,             // cmp $0x60, %bh
    0x75, 0xed,                    // jne 2b
    0xe6, 0x13,                    // 3: out %al, $0x13
    0xe6, 0x14,                    // out %al, $0x14
    0xa2, 0x00,  0x00,             // mov %al, 0
    0xeb, 0xf7,                    // jmp 3b
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void open_machine(struct machine *m, int sharing)
{
    m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (m->kvm < 0)
        fail("/dev/kvm");
    m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
    if (m->vm < 0)
        fail("KVM_CREATE_VM");
    m->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
    if (m->memory == MAP_FAILED)
        fail("mmap");
    struct kvm_userspace_memory_region slot = {.memory_size = SLOT_SIZE,
                                               .userspace_addr = (uintptr_t)m->memory};
    if (ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
        fail("KVM_SET_USER_MEMORY_REGION");
    m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
    if (m->vcpu < 0)
        fail("KVM_CREATE_VCPU");
    m->run_size = (size_t)ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    m->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
    if (m->run == MAP_FAILED)
        fail("mmap of the vCPU");
}

static void load(struct machine *m, const uint8_t *code, size_t size)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs = {.rip = GUEST_BASE, .rflags = 2};
    memcpy(m->memory + GUEST_BASE, code, size);
    if (ioctl(m->vcpu, KVM_GET_SREGS, &sregs) < 0)
        fail("KVM_GET_SREGS");
    sregs.cs.base = sregs.cs.selector = 0;
    if (ioctl(m->vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(m->vcpu, KVM_SET_REGS, &regs) < 0)
        fail("KVM_SET_REGS");
}

static void close_machine(struct machine *m)
{
    munmap(m->run, m->run_size);
    munmap(m->memory, MEMORY_SIZE);
    close(m->vcpu);
    close(m->vm);
    close(m->kvm);
}

static unsigned long long minimum(unsigned long long a, unsigned long long b)
{
    return a < b ? a : b;
}

/* Runs up to the next exit, which must be this one; returns what that took. */
static unsigned long long run_to(struct machine *m, unsigned reason, int port)
{
    unsigned long long start = ticks();

    if (ioctl(m->vcpu, KVM_RUN, 0) < 0)
        fail("KVM_RUN");
    unsigned long long took = ticks() - start;
    if (m->run->exit_reason != reason || (reason == KVM_EXIT_IO && m->run->io.port != port)) {
        fprintf(stderr, "exit reason %u, port %#x\n", m->run->exit_reason, m->run->io.port);
        exit(1);
    }
    return took;
}

static unsigned long long create = ~0ULL, first = ~0ULL, io = ~0ULL, mmio = ~0ULL, cpuid = ~0ULL;

/* Returns what the first touch of a page costs where guest memory is mapped so, the exit after it
 * included. */
static unsigned long long measure(int sharing)
{
    unsigned long long touch = ~0ULL;
    struct machine m;

    for (int round = 0; round < 5; round++) {
        unsigned long long start = ticks();
        open_machine(&m, sharing);
        create = minimum(create, ticks() - start);
        load(&m, guest_code, sizeof guest_code);
        run_to(&m, KVM_EXIT_IO, 0x10);
        first = minimum(first, ticks() - start);
        for (int i = 0; i < TURNS; i++)
            cpuid = minimum(cpuid, run_to(&m, KVM_EXIT_IO, 0x11)); /* and the OUT, as below */
        for (int page = 0; page < TURNS; page++)
            touch = minimum(touch, run_to(&m, KVM_EXIT_IO, 0x12));
        for (int i = 0; i < 50; i++) {
            run_to(&m, KVM_EXIT_IO, 0x13);
            io = minimum(io, run_to(&m, KVM_EXIT_IO, 0x14));
            mmio = minimum(mmio, run_to(&m, KVM_EXIT_MMIO, 0));
        }
        close_machine(&m);
    }
    return touch;
}

int main(void)
{
    unsigned long long shared = measure(MAP_SHARED), private = measure(MAP_PRIVATE);

    report("port I/O exit to user space and back", io);
    report("MMIO exit to user space and back", mmio);
    report("CPUID exit, handled in the kernel", cpuid - io);
    report("nested page fault, first touch", private - io);
    report("nested page fault, first touch, MAP_SHARED", shared - io);
    report("create a VM and a vCPU", create);
    report("create a VM, to its first exit", first);
    return 0;
}
