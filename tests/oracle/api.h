#pragma once
/* What the ioctls answer to wrong arguments, wrong order and wrong objects. */
#include "tests/oracle/oracle.h"

TEST(system_ioctls)
{
    int kvm = open("/dev/kvm", O_RDWR);

    SAY_CALL(ioctl(kvm, KVM_GET_API_VERSION, 0));
    SAY_CALL(ioctl(kvm, KVM_GET_API_VERSION, 1));
    SAY_CALL(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 1));
    SAY_CALL(ioctl(kvm, KVM_CREATE_VM, 1));
    SAY_CALL(ioctl(kvm, KVM_CHECK_EXTENSION, 0xffff));
    SAY_CALL(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY));
    SAY_CALL(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP));
    SAY_CALL(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT));
    SAY_CALL(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, 1));
    SAY_CALL(ioctl(kvm, KVM_GET_MSR_INDEX_LIST, 1));
    SAY_CALL(ioctl(kvm, _IO(KVMIO, 0xff), 0));
    SAY_CALL(ioctl(kvm, KVM_RUN, 0));
    struct kvm_cpuid2 c = {.nent = 0};
    SAY_CALL(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &c));
}

TEST(memory_slots)
{
    struct vm v = vm_open(RAM);
    uint8_t *more = anonymous(0x10000);

    SAY_CALL(set_slot(v.vm, 1, 0x1000, 0x1000, more, 0));
    SAY_CALL(set_slot(v.vm, 1, 0x400001, 0x1000, more, 0));
    SAY_CALL(set_slot(v.vm, 1, 0x400000, 0x1001, more, 0));
    SAY_CALL(set_slot(v.vm, 1, 0x400000, 0x1000, more + 1, 0));
    SAY_CALL(set_slot(v.vm, 1, 0x400000, 0x1000, more, 0x80));
    SAY_CALL(set_slot(v.vm, 0xffff, 0x400000, 0x1000, more, 0));
    SAY_CALL(set_slot(v.vm, 1, 0x400000, 0, more, 0));
    SAY_CALL(set_slot(v.vm, 1, 0xfffffffffffff000, 0x2000, more, 0));
    SAY_CALL(set_slot(v.vm, 1, 0x400000, 0x4000, more, 0));
    SAY_CALL(set_slot(v.vm, 1, 0x400000, 0x4000, more, 0));
    SAY_CALL(set_slot(v.vm, 1, 0x400000, 0x2000, more, 0));
    SAY_CALL(set_slot(v.vm, 1, 0x400000, 0x4000, more + 0x1000, 0));
    SAY_CALL(set_slot(v.vm, 1, 0x400000, 0x4000, more, KVM_MEM_READONLY));
    SAY_CALL(set_slot(v.vm, 1, 0x600000, 0x4000, more, 0));
    SAY_CALL(set_slot(v.vm, 1, 0x1000, 0x4000, more, 0));
    SAY_CALL(set_slot(v.vm, 1, 0, 0, NULL, 0));
    SAY_CALL(set_slot(v.vm, 1, 0, 0, NULL, 0));
    SAY_CALL(ioctl(v.vm, KVM_SET_USER_MEMORY_REGION, 1));
    SAY_CALL(ioctl(v.vm, KVM_GET_DIRTY_LOG, 1));
}

TEST(vcpu_creation_and_order)
{
    struct vm v = vm_open(RAM);
    struct kvm_pit_config pit = {0};
    struct kvm_interrupt irq = {.irq = 256};
    struct kvm_irq_level level = {.irq = 4, .level = 1};

    SAY_CALL(ioctl(v.vm, KVM_CREATE_VCPU, 0));
    SAY_CALL(ioctl(v.vm, KVM_CREATE_VCPU, 0x10000));
    SAY_CALL(ioctl(v.vm, KVM_CREATE_IRQCHIP, 0));
    SAY_CALL(ioctl(v.vm, KVM_CREATE_PIT2, &pit));
    SAY_CALL(ioctl(v.vm, KVM_IRQ_LINE, &level));
    SAY_CALL(ioctl(v.vcpu, KVM_INTERRUPT, &irq));
    SAY_CALL(ioctl(v.vcpu, KVM_RUN, 1));
    SAY_CALL(ioctl(v.vcpu, KVM_GET_REGS, 1));
    SAY_CALL(ioctl(v.vcpu, KVM_SET_REGS, 1));
    SAY_CALL(ioctl(v.vcpu, KVM_GET_SREGS, 1));
    SAY_CALL(ioctl(v.vcpu, KVM_SET_SREGS, 1));
    SAY_CALL(ioctl(v.vcpu, KVM_SET_CPUID2, 1));
    SAY_CALL(ioctl(v.vcpu, KVM_GET_MSRS, 1));
    SAY_CALL(ioctl(v.vcpu, KVM_SET_MSRS, 1));
    SAY_CALL(ioctl(v.vcpu, KVM_INTERRUPT, 1));
    SAY_CALL(ioctl(v.vcpu, KVM_GET_VCPU_EVENTS, 1));
    SAY_CALL(ioctl(v.vcpu, KVM_GET_MP_STATE, 1));
    SAY_CALL(ioctl(v.vcpu, _IO(KVMIO, 0xff), 0));
    SAY_CALL(ioctl(v.vcpu, KVM_CREATE_VCPU, 0));
    SAY_CALL(ioctl(v.vm, KVM_RUN, 0));
}

TEST(chip_creation)
{
    struct vm v = vm_open_with(RAM, CHIPS);
    struct kvm_pit_config pit = {0};
    struct kvm_interrupt irq = {.irq = 32};
    struct kvm_irq_level level = {.irq = 4, .level = 1}, high = {.irq = 4000, .level = 1};

    SAY_CALL(ioctl(v.vm, KVM_CREATE_IRQCHIP, 0));
    SAY_CALL(ioctl(v.vm, KVM_CREATE_PIT2, &pit));
    SAY_CALL(ioctl(v.vm, KVM_IRQ_LINE, &level));
    SAY_CALL(ioctl(v.vm, KVM_IRQ_LINE, &high));
    SAY_CALL(ioctl(v.vm, KVM_IRQ_LINE, 1));
    SAY_CALL(ioctl(v.vcpu, KVM_INTERRUPT, &irq));
}
