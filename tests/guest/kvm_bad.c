/* Bad input to the KVM ioctls: each gets an errno, and the kernel and the VM go on. */
#include "tests/guest/kvm_lib.h"

#include <sys/wait.h>

#define BAD_POINTER ((void *)0x7fffdead0000)
#define KERNEL_POINTER ((void *)0xffffffff80000000)

/* It stays halted: QEMU 10 hangs in a guest that executes the page that holds its page tables. */
GUEST_CODE(ok_guest, 64, "mov $0x42, %al; out %al, $0x10; 1: hlt; jmp 1b");

/* The VM still works. */
static void check_alive(struct vm *v)
{
    LOAD(v, ok_guest);
    start_64(v);
    CHECK_EQ(run_to_out(v, 0x10), 0x42);
    run_to_halt(v);
}

TEST(the_system_fd_checks_its_arguments)
{
    int kvm = open("/dev/kvm", O_RDWR);

    CHECK(kvm >= 0);
    CHECK_EQ(ioctl(kvm, KVM_GET_API_VERSION, 0), 12);
    CHECK_ERR(ioctl(kvm, KVM_GET_API_VERSION, 1), EINVAL);
    CHECK_ERR(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 1), EINVAL);
    CHECK_ERR(ioctl(kvm, KVM_CREATE_VM, 0x7777), EINVAL);
    CHECK_ERR(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, BAD_POINTER), EFAULT);
    CHECK_ERR(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, KERNEL_POINTER), EFAULT);
    CHECK(ioctl(kvm, _IO(KVMIO, 0xef), 0) < 0);
    CHECK(ioctl(kvm, KVM_RUN, 0) < 0);
    CHECK(ioctl(kvm, KVM_CREATE_VCPU, 0) < 0);
    CHECK_EQ(ioctl(kvm, KVM_CHECK_EXTENSION, 0xffff), 0);
    CHECK(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) > 0);
    CHECK(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) > 0);
    CHECK(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS) >= 4);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, kvm, 0) == MAP_FAILED);
    close(kvm);
}

TEST(slots_check_their_arguments)
{
    struct vm v = vm_open(RAM);
    uint8_t *more = anonymous(RAM);

    CHECK_ERR(set_slot(v.vm, 1, RAM + 1, 0x1000, more, 0), EINVAL); /* gpa not aligned */
    CHECK_ERR(set_slot(v.vm, 1, RAM, 0x1001, more, 0), EINVAL);     /* size not aligned */
    CHECK_ERR(set_slot(v.vm, 1, RAM, 0x1000, more + 1, 0), EINVAL); /* host address not aligned */
    CHECK_ERR(set_slot(v.vm, 1, RAM, 0x1000, more, 1u << 31), EINVAL);   /* unknown flag */
    CHECK_ERR(set_slot(v.vm, 0x7fff0000, RAM, 0x1000, more, 0), EINVAL); /* no such slot */
    CHECK_ERR(set_slot(v.vm, 1, RAM, 0x1000, KERNEL_POINTER, 0), EINVAL);
    CHECK_ERR(set_slot(v.vm, 1, 0xfffffffffffff000, 0x2000, more, 0), EINVAL); /* wraps */
    CHECK_ERR(set_slot(v.vm, 1, RAM - 0x1000, 0x2000, more, 0), EEXIST);       /* over slot 0 */
    CHECK_ERR(set_slot(v.vm, 1, 0, RAM, more, 0), EEXIST);
    CHECK_ERR(set_slot(v.vm, 2, RAM, 0, NULL, 0), EINVAL);      /* there is none to delete */
    CHECK_ERR(set_slot(v.vm, 0, 0, RAM / 2, v.mem, 0), EINVAL); /* a slot's size is fixed */
    CHECK_ERR(ioctl(v.vm, KVM_SET_USER_MEMORY_REGION, BAD_POINTER), EFAULT);
    CHECK_ERR(ioctl(v.vm, KVM_SET_USER_MEMORY_REGION, KERNEL_POINTER), EFAULT);
    CHECK_EQ(set_slot(v.vm, 1, RAM, RAM, more, 0), 0);
    check_alive(&v);
    vm_close(&v);
    munmap(more, RAM);
}

TEST(vcpus_check_their_arguments)
{
    struct vm v = vm_open(RAM);

    CHECK_ERR(ioctl(v.vm, KVM_CREATE_VCPU, 0), EEXIST);
    CHECK_ERR(ioctl(v.vm, KVM_CREATE_VCPU, 100000), EINVAL);
    CHECK_ERR(ioctl(v.vcpu, KVM_GET_REGS, BAD_POINTER), EFAULT);
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_REGS, BAD_POINTER), EFAULT);
    CHECK_ERR(ioctl(v.vcpu, KVM_GET_SREGS, KERNEL_POINTER), EFAULT);
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_SREGS, KERNEL_POINTER), EFAULT);
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_CPUID2, BAD_POINTER), EFAULT);
    CHECK_ERR(ioctl(v.vcpu, KVM_RUN, 1), EINVAL);
    CHECK(ioctl(v.vcpu, KVM_CREATE_VM, 0) < 0);
    CHECK(ioctl(v.vcpu, KVM_SET_USER_MEMORY_REGION, &v) < 0);
    CHECK(ioctl(v.vm, KVM_RUN, 0) < 0);
    CHECK(ioctl(v.vm, KVM_GET_REGS, &v) < 0);
    CHECK(ioctl(v.vcpu, _IO(KVMIO, 0xef), 0) < 0);
    CHECK(ioctl(v.vm, _IO(KVMIO, 0xef), 0) < 0);
    CHECK_ERR(ioctl(0x7fff, KVM_RUN, 0), EBADF);
    CHECK(read(v.vcpu, &v.kvm, 0) <= 0);
    check_alive(&v);
    vm_close(&v);
}

TEST(wild_special_registers_are_refused_or_harmless)
{
    struct vm v = vm_open(RAM);

    start_64(&v);
    struct kvm_sregs good = get_sregs(&v), bad = good;
    bad.cr4 |= 1ull << 40;
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_SREGS, &bad), EINVAL);
    bad = good;
    bad.efer = 0x500;
    bad.cr4 = 0; /* long mode without PAE */
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_SREGS, &bad), EINVAL);
    memset(&bad, 0xff, sizeof(bad));
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_SREGS, &bad), EINVAL);
    set_sregs(&v, good);
    struct kvm_regs wild;
    memset(&wild, 0xff, sizeof(wild));
    set_regs(&v, wild); /* it is the guest's problem */
    ioctl(v.vcpu, KVM_RUN, 0);
    vm_close(&v);
    v = vm_open(RAM);
    check_alive(&v);
    vm_close(&v);
}

TEST(a_hostile_kvm_run_page_is_harmless)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, ok_guest);
    start_64(&v);
    for (int i = 0; i < 3; i++) {
        memset(v.run, 0xff, sizeof(*v.run));
        v.run->immediate_exit = 0;
        v.run->request_interrupt_window = 0;
        ioctl(v.vcpu, KVM_RUN, 0);
        v.run->io.count = 0x7fffffff; /* between the exit and its completion */
        v.run->io.size = 77;
        v.run->io.data_offset = 0x123456789abcdef;
    }
    vm_close(&v);
    v = vm_open(RAM);
    check_alive(&v);
    vm_close(&v);
}

TEST(a_forked_child_cannot_run_the_parents_vm)
{
    struct vm v = vm_open(RAM);
    int status;

    LOAD(&v, ok_guest);
    start_64(&v);
    pid_t child = fork();
    if (child == 0)
        _exit(ioctl(v.vcpu, KVM_RUN, 0) == -1 && errno == EIO ? 0 : 1);
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    check_alive(&v);
    vm_close(&v);
}

TEST(descriptors_may_be_closed_in_any_order)
{
    for (int order = 0; order < 3; order++) {
        struct vm v = vm_open(RAM);
        close(order == 0 ? v.vm : v.kvm);
        if (order == 2)
            close(v.vm);
        check_alive(&v); /* a vCPU keeps its VM */
        close(v.vcpu);
        v.run->immediate_exit = 0; /* and the mapping keeps its page */
        munmap(v.run, 4096);
        if (order != 2)
            close(order == 0 ? v.kvm : v.vm);
        munmap(v.mem, v.size);
    }
}

TEST(many_vms_come_and_go)
{
    for (int i = 0; i < 40; i++) {
        struct vm v = vm_open(RAM);
        check_alive(&v);
        vm_close(&v);
    }
}

TEST(a_vcpu_without_memory_does_not_run_away)
{
    int kvm = open("/dev/kvm", O_RDWR), vm = ioctl(kvm, KVM_CREATE_VM, 0),
        vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    struct kvm_run *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

    CHECK(vcpu >= 0 && page != MAP_FAILED);
    for (int i = 0; i < 3; i++) {
        page->exit_reason = 0xdead;
        int result = ioctl(vcpu, KVM_RUN, 0);
        CHECK(result < 0 || page->exit_reason == KVM_EXIT_INTERNAL_ERROR ||
              page->exit_reason == KVM_EXIT_MMIO || page->exit_reason == KVM_EXIT_SHUTDOWN);
    }
    munmap(page, 4096);
    close(vcpu);
    close(vm);
    close(kvm);
}

TEST(kvm_run_outlives_its_descriptors_and_only_its_pages_are_mapped)
{
    struct vm v = vm_open(RAM);
    int size = ioctl(v.kvm, KVM_GET_VCPU_MMAP_SIZE, 0), status;

    IN_CHILD(status, {
        volatile uint8_t *p = mmap(NULL, (size_t)size + 0x10000, PROT_READ, MAP_SHARED, v.vcpu, 0);
        if ((void *)p == MAP_FAILED)
            _exit(0);
        _exit(p[size + 0xf000] * 0); /* beyond: a fault, nothing of the kernel's */
    });
    CHECK(status == 0 || WIFSIGNALED(status));
    vm_close(&v);
}

GUEST_CODE(undefined, 32, "ud2");
GUEST_CODE(stop, 32, "hlt");

/* The CPU, or its emulator, takes a stack from whatever TR says when an exception leaves CPL 3. */
TEST(a_task_register_of_any_type_harms_nobody)
{
    for (unsigned type = 0; type < 64; type++) {
        struct vm v = vm_open(RAM);
        LOAD(&v, undefined);
        memcpy(v.mem + FREE, stop, (size_t)(stop_end - stop));
        start_32(&v);
        set_gate64(&v, 3, FREE); /* of which the first half is a 32-bit gate: of vector 6 */
        struct kvm_sregs s = get_sregs(&v);
        s.cs.dpl = s.ss.dpl = 3;
        s.cs.selector = 0xb;
        s.ss.selector = 0x13;
        s.tr = (struct kvm_segment){.base = FREE + 0x1000,
                                    .limit = 0x67,
                                    .type = type & 15,
                                    .present = !(type & 16),
                                    .s = type >> 5};
        if (ioctl(v.vcpu, KVM_SET_SREGS, &s) == 0) {
            unsigned reason = run(&v);
            CHECK(reason == KVM_EXIT_HLT || reason == KVM_EXIT_SHUTDOWN ||
                  reason == KVM_EXIT_FAIL_ENTRY);
        }
        vm_close(&v);
    }
}

TEST(registers_of_an_apic_that_cannot_be_read_change_nothing)
{
    struct vm v = vm_open_with(RAM, CHIPS);
    struct kvm_lapic_state before, after;
    uint8_t *pages = anonymous(2 * 4096);

    CHECK_OK(ioctl(v.vcpu, KVM_GET_LAPIC, &before));
    memset(pages, 0x55, 4096);
    CHECK_OK(munmap(pages + 4096, 4096));
    CHECK_ERR(ioctl(v.vcpu, KVM_SET_LAPIC, pages + 4096 - sizeof(before) / 2), EFAULT);
    CHECK_OK(ioctl(v.vcpu, KVM_GET_LAPIC, &after));
    CHECK(memcmp(&before, &after, sizeof(before)) == 0);
    vm_close(&v);
}

/* The order of the two is the guest's affair: the host's paging is its own. */
TEST(long_mode_enabled_before_pae_harms_nobody)
{
    struct vm v = vm_open(RAM);
    LOAD(&v, stop);
    start_32(&v);
    struct kvm_sregs s = get_sregs(&v);
    s.efer |= 0x100; /* LME */
    set_sregs(&v, s);
    run_to_halt(&v);
    CHECK_EQ(get_sregs(&v).efer, s.efer);
    vm_close(&v);
}
