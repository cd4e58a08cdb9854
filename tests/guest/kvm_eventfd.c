/* Interrupts from eventfds, eventfds from the guest's writes, and writes that wait in a ring. */
#include "tests/guest/kvm_lib.h"

#include <sys/eventfd.h>

enum { MMIO = 0x200000 /* behind RAM */ };

#define SAY(text) "mov $" text ", %al; out %al, $0x10\n"

static uint64_t count(int fd)
{
    uint64_t n = 0;

    return read(fd, &n, sizeof n) == sizeof n ? n : 0;
}

static void signal_event(int fd)
{
    uint64_t n = 1;

    CHECK_EQ(write(fd, &n, sizeof n), sizeof n);
}

static int event(void)
{
    int fd = eventfd(0, EFD_NONBLOCK);

    CHECK(fd >= 0);
    return fd;
}

static int ioevent(struct vm *v, int fd, uint64_t addr, unsigned len, unsigned flags,
                   uint64_t match)
{
    struct kvm_ioeventfd e = {
        .fd = fd, .addr = addr, .len = len, .flags = flags, .datamatch = match};

    return ioctl(v->vm, KVM_IOEVENTFD, &e);
}

static int irqfd(struct vm *v, int fd, unsigned gsi, unsigned flags, int resample)
{
    struct kvm_irqfd e = {
        .fd = (uint32_t)fd, .gsi = gsi, .flags = flags, .resamplefd = (uint32_t)resample};

    return ioctl(v->vm, KVM_IRQFD, &e);
}

GUEST_CODE(
    writes, 64,
    "mov $0x200000, %ebx; movl $7, (%rbx); movl $8, (%rbx); movw $7, (%rbx)\n"
    "movb $1, 16(%rbx); movq $1, 16(%rbx); mov $5, %al; out %al, $0x50; out %ax, $0x50\n" SAY(
        "1") "movl $7, (%rbx); hlt");

TEST(writes_that_match_signal_and_do_not_exit)
{
    struct vm v = vm_open(RAM);
    int exact = event(), any = event(), port = event();
    unsigned match = KVM_IOEVENTFD_FLAG_DATAMATCH;

    LOAD(&v, writes);
    start_64(&v);
    CHECK_OK(ioevent(&v, exact, MMIO, 4, match, 7));
    CHECK_OK(ioevent(&v, any, MMIO + 16, 0, 0, 0));
    CHECK_OK(ioevent(&v, port, 0x50, 1, KVM_IOEVENTFD_FLAG_PIO, 0));
    CHECK_ERR(ioevent(&v, any, MMIO, 4, match, 7), EEXIST);
    CHECK_ERR(ioevent(&v, any, MMIO, 4, 0, 0), EEXIST);
    CHECK_ERR(ioevent(&v, any, MMIO, 3, 0, 0), EINVAL);
    CHECK_ERR(ioevent(&v, any, ~0ull, 4, 0, 0), EINVAL);
    CHECK_ERR(ioevent(&v, any, MMIO, 0, match, 0), EINVAL);
    CHECK_ERR(ioevent(&v, v.vm, MMIO + 8, 4, 0, 0), EINVAL);
    CHECK_ERR(ioevent(&v, -1, MMIO + 8, 4, 0, 0), EBADF);
    run_to(&v, KVM_EXIT_MMIO); /* another value */
    CHECK_EQ(v.run->mmio.data[0], 8);
    CHECK_EQ(count(exact), 1);
    run_to(&v, KVM_EXIT_MMIO); /* another length */
    CHECK_EQ(v.run->mmio.len, 2);
    run_to(&v, KVM_EXIT_IO); /* another length */
    CHECK_EQ(v.run->io.size, 2);
    CHECK_EQ(count(any), 2);
    CHECK_EQ(count(port), 1);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    CHECK_ERR(ioevent(&v, exact, MMIO, 4, match | KVM_IOEVENTFD_FLAG_DEASSIGN, 8), ENOENT);
    CHECK_OK(ioevent(&v, exact, MMIO, 4, match | KVM_IOEVENTFD_FLAG_DEASSIGN, 7));
    run_to(&v, KVM_EXIT_MMIO);
    CHECK_EQ(count(exact), 0);
    vm_close(&v);
}

GUEST_CODE(
    irqs, 64,
    "mov $0x11, %al; out %al, $0x20; mov $0x40, %al; out %al, $0x21; mov $4, %al\n"
    "out %al, $0x21; mov $1, %al; out %al, $0x21; xor %eax, %eax; out %al, $0x21\n" SAY(
        "1") "sti; 1: hlt; jmp 1b\n"
             ".org irqs + 0x100\n" SAY("3") "mov $0x20, %al; out %al, $0x20\n" SAY(
                 "4") "iretq\n"
                      ".org irqs + 0x200\n" SAY("5") "mov $0x20, %al; out %al, $0x20; iretq\n");

static struct vm open_irqs(void)
{
    struct vm v = vm_open_with(RAM, CHIPS);

    LOAD(&v, irqs);
    start_64(&v);
    set_gate64(&v, 0x43, CODE + 0x100);
    set_gate64(&v, 0x45, CODE + 0x200);
    CHECK_EQ(run_to_out(&v, 0x10), 1);
    return v;
}

TEST(an_eventfd_interrupts)
{
    struct vm v = open_irqs();
    int fd = event();

    signal_event(fd); /* before it is one */
    CHECK_OK(irqfd(&v, fd, 3, 0, 0));
    CHECK_ERR(irqfd(&v, fd, 5, 0, 0), EBUSY);
    CHECK_ERR(irqfd(&v, v.vm, 5, 0, 0), EINVAL);
    CHECK_ERR(irqfd(&v, fd, 1u << 20, 0, 0), EINVAL);
    CHECK_ERR(irqfd(&v, fd, 5, 64, 0), EINVAL);
    CHECK_EQ(run_to_out(&v, 0x10), 3);
    CHECK_EQ(run_to_out(&v, 0x10), 4);
    CHECK_EQ(count(fd), 0); /* taken */
    signal_event(fd);
    CHECK_EQ(run_to_out(&v, 0x10), 3);
    CHECK_OK(irqfd(&v, fd, 3, KVM_IRQFD_FLAG_DEASSIGN, 0));
    signal_event(fd);
    CHECK_EQ(count(fd), 1);
    CHECK_OK(irqfd(&v, fd, 5, 0, 0));
    signal_event(fd);
    CHECK_EQ(run_to_out(&v, 0x10), 4);
    CHECK_EQ(run_to_out(&v, 0x10), 5);
    close(fd);
    vm_close(&v);
}

TEST(a_level_stands_until_the_end_of_interrupt_which_is_told)
{
    struct vm v = open_irqs();
    int fd = event(), resample = event();
    struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_PIC_MASTER};

    CHECK_OK(ioctl(v.vm, KVM_GET_IRQCHIP, &chip));
    chip.chip.pic.elcr = 8;
    CHECK_OK(ioctl(v.vm, KVM_SET_IRQCHIP, &chip));
    CHECK_OK(irqfd(&v, fd, 3, KVM_IRQFD_FLAG_RESAMPLE, resample));
    signal_event(fd);
    CHECK_EQ(run_to_out(&v, 0x10), 3);
    CHECK_EQ(count(resample), 0);
    CHECK_EQ(run_to_out(&v, 0x10), 4);
    CHECK_EQ(count(resample), 1);
    signal_event(fd);
    CHECK_EQ(run_to_out(&v, 0x10), 3);
    vm_close(&v);
}

/* One eventfd from the guest's write to the guest's interrupt: nobody else is asked. */
GUEST_CODE(doorbell, 64,
           "mov $0x11, %al; out %al, $0x20; mov $0x40, %al; out %al, $0x21; mov $4, %al\n"
           "out %al, $0x21; mov $1, %al; out %al, $0x21; xor %eax, %eax; out %al, $0x21\n"
           "mov $0x200000, %ebx; mov $10, %ecx; 1: movl $1, (%rbx); sti; hlt; cli\n"
           "loop 1b; mov %edx, %eax; out %al, $0x10\n"
           ".org doorbell + 0x100\n"
           "inc %edx; mov $0x20, %al; out %al, $0x20; iretq\n");

TEST(a_doorbell_rings_without_an_exit)
{
    struct vm v = vm_open_with(RAM, CHIPS);
    int fd = event();

    LOAD(&v, doorbell);
    start_64(&v);
    set_gate64(&v, 0x43, CODE + 0x100);
    struct kvm_regs r = get_regs(&v);
    r.rdx = 0;
    set_regs(&v, r);
    CHECK_OK(ioevent(&v, fd, MMIO, 4, 0, 0));
    CHECK_OK(irqfd(&v, fd, 3, 0, 0));
    CHECK_EQ(run_to_out(&v, 0x10), 10);
    close(fd);
    vm_close(&v);
}

GUEST_CODE(many_writes, 64,
           "mov $0x200000, %ebx; mov $300, %ecx; 1: mov %ecx, 8(%rbx); loop 1b; hlt");

TEST(coalesced_writes_wait_in_a_ring)
{
    struct vm v = vm_open(RAM);
    int page = ioctl(v.kvm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
    struct kvm_coalesced_mmio_zone zone = {.addr = MMIO, .size = 12};

    CHECK(page > 0);
    struct kvm_coalesced_mmio_ring *ring = (void *)((uint8_t *)v.run + page * 4096);
    LOAD(&v, many_writes);
    start_64(&v);
    CHECK_OK(ioctl(v.vm, KVM_REGISTER_COALESCED_MMIO, &zone));
    unsigned seen = 300, exits = 0;
    while (run(&v) == KVM_EXIT_MMIO) {
        exits++;
        for (; ring->first != ring->last; ring->first = (ring->first + 1) % 170) {
            CHECK_EQ(ring->coalesced_mmio[ring->first].phys_addr, MMIO + 8);
            CHECK_EQ(ring->coalesced_mmio[ring->first].len, 4);
            CHECK_EQ(*(uint32_t *)ring->coalesced_mmio[ring->first].data, seen);
            seen--;
        }
        CHECK_EQ(*(uint32_t *)v.run->mmio.data, seen);
        seen--;
        ring->first = ring->last = exits == 1 ? 0x80000000 : 0; /* a hostile one is full */
    }
    CHECK_EQ(v.run->exit_reason, KVM_EXIT_HLT);
    CHECK_EQ(exits, 2);
    CHECK_OK(ioctl(v.vm, KVM_UNREGISTER_COALESCED_MMIO, &zone));
    vm_close(&v);
}
