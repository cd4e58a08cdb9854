/* The smallest monitor that means something, after the recipe of LWN's "Using the KVM API": a page
 * of real-mode code adds two numbers, prints the digit at a serial port and halts. It uses nothing
 * but the API. */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static const uint8_t code[] = {
    0xba, 0xf8, 0x03, /* mov $0x3f8, %dx */
    0x00, 0xd8,       /* add %bl, %al */
    0x04, '0',        /* add $'0', %al */
    0xee,             /* out %al, (%dx) */
    0xb0, '\n',       /* mov $'\n', %al */
    0xee,             /* out %al, (%dx) */
    0xf4,             /* hlt */
};

int main(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        err(1, "/dev/kvm");
    if (ioctl(kvm, KVM_GET_API_VERSION, NULL) != 12)
        errx(1, "KVM_GET_API_VERSION is not 12");
    int vm = ioctl(kvm, KVM_CREATE_VM, 0ul);
    uint8_t *mem = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (vm < 0 || mem == MAP_FAILED)
        err(1, "VM or memory");
    memcpy(mem, code, sizeof(code));
    struct kvm_userspace_memory_region region = {.slot = 0,
                                                 .guest_phys_addr = 0x1000,
                                                 .memory_size = 0x1000,
                                                 .userspace_addr = (uintptr_t)mem};
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        err(1, "KVM_SET_USER_MEMORY_REGION");
    int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0ul);
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
    struct kvm_run *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (vcpu < 0 || run == MAP_FAILED)
        err(1, "vCPU");
    struct kvm_sregs sregs;
    ioctl(vcpu, KVM_GET_SREGS, &sregs);
    sregs.cs.base = sregs.cs.selector = 0;
    ioctl(vcpu, KVM_SET_SREGS, &sregs);
    struct kvm_regs regs = {.rip = 0x1000, .rax = 2, .rbx = 2, .rflags = 2};
    ioctl(vcpu, KVM_SET_REGS, &regs);
    char printed[8] = "";
    for (unsigned n = 0; n < 4; n++) {
        if (ioctl(vcpu, KVM_RUN, NULL) < 0)
            err(1, "KVM_RUN");
        if (run->exit_reason == KVM_EXIT_HLT)
            break;
        if (run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_OUT ||
            run->io.port != 0x3f8 || run->io.size != 1 || run->io.count != 1)
            errx(1, "unexpected exit %u", run->exit_reason);
        printed[n] = *((char *)run + run->io.data_offset);
    }
    printf("%s", printed);
    return run->exit_reason != KVM_EXIT_HLT || strcmp(printed, "4\n");
}
