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
#define MEMORY_SIZE 0x200000

struct machine {
    int kvm, vm, vcpu;
    uint8_t *memory;
    struct kvm_run *run;
    size_t run_size;
};

/* The guest, in real mode: OUT 0x10 (ready), a CPUID, OUT 0x11, then OUT 0x12 for ever. Each OUT is
 * an exit to us. */
static const uint8_t guest_code[] = {
    0xe6, 0x10,             // out %al, $0x10
    0x31, 0xc0, 0x0f, 0xa2, // xor %ax, %ax; cpuid
    0xe6, 0x11,             // out %al, $0x11
    0xe6, 0x12,             // 1: out %al, $0x12
    0xeb, 0xfc,             // jmp 1b
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void open_machine(struct machine *m)
{
    m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (m->kvm < 0)
        fail("/dev/kvm");
    m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
    if (m->vm < 0)
        fail("KVM_CREATE_VM");
    m->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m->memory == MAP_FAILED)
        fail("mmap");
    struct kvm_userspace_memory_region slot = {.memory_size = MEMORY_SIZE,
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

static void expect_out(struct machine *m, int port)
{
    if (ioctl(m->vcpu, KVM_RUN, 0) < 0)
        fail("KVM_RUN");
    if (m->run->exit_reason != KVM_EXIT_IO || m->run->io.port != port) {
        fprintf(stderr, "exit reason %u, port %#x\n", m->run->exit_reason, m->run->io.port);
        exit(1);
    }
}

int main(void)
{
    struct machine m;
    unsigned long long create = ~0ULL, first = ~0ULL, cpuid = ~0ULL;
    for (int round = 0; round < 5; round++) {
        unsigned long long start = ticks();
        open_machine(&m);
        unsigned long long made = ticks() - start;
        create = made < create ? made : create;
        load(&m, guest_code, sizeof guest_code);
        expect_out(&m, 0x10);
        unsigned long long took = ticks() - start;
        first = took < first ? took : first;
        start = ticks();
        expect_out(&m, 0x11);
        unsigned long long with_cpuid = ticks() - start;
        unsigned long long plain = ~0ULL;
        for (int i = 0; i < 50; i++) {
            start = ticks();
            expect_out(&m, 0x12);
            took = ticks() - start;
            plain = took < plain ? took : plain;
        }
        if (with_cpuid > plain && with_cpuid - plain < cpuid)
            cpuid = with_cpuid - plain;
        if (round == 4)
            report("port I/O exit to user space and back", plain);
        close_machine(&m);
    }
    report("CPUID exit, handled in the kernel", cpuid);
    report("create a VM and a vCPU", create);
    report("create a VM, to its first exit", first);
    return 0;
}
