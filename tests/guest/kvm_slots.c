/* Guest memory is the monitor's memory: what the one writes the other sees, and what is in no slot
 * is nowhere (invariants 1, 5, 6). */
#include "tests/guest/kvm_lib.h"

#include <sys/wait.h>

enum { HIGH = 0x1000000 }; /* where tests put a second slot */

/* Reads the byte at rbx, puts it out, writes al + 1 behind it, halts; again and again. */
GUEST_CODE(peek, 64, "1: mov (%rbx), %al; out %al, $0x10; inc %al; mov %al, 1(%rbx); hlt; jmp 1b");

static struct vm open_peek(void)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, peek);
    start_64(&v);
    return v;
}

static void aim(struct vm *v, uint64_t address)
{
    set_regs(v, (struct kvm_regs){.rip = CODE, .rsp = STACK, .rflags = 2, .rbx = address});
}

/* What the guest reads at the address; it writes the next number behind it. */
static uint32_t peek_at(struct vm *v, uint64_t address)
{
    aim(v, address);
    uint32_t value = run_to_out(v, 0x10);
    run_to_halt(v);
    return value;
}

static void check_nowhere(struct vm *v, uint64_t address)
{
    aim(v, address);
    run_to(v, KVM_EXIT_MMIO);
    CHECK_EQ(v->run->mmio.phys_addr, address);
    CHECK_EQ(v->run->mmio.is_write, 0);
    memset(v->run->mmio.data, 0x5a, 8);
    CHECK_EQ(run_to_out(v, 0x10), 0x5a);
    run_to(v, KVM_EXIT_MMIO);
    CHECK_EQ(v->run->mmio.is_write, 1);
    CHECK_EQ(v->run->mmio.data[0], 0x5b);
    run_to_halt(v);
}

TEST(memory_is_shared_with_the_monitor)
{
    struct vm v = open_peek();

    CHECK_EQ(peek_at(&v, 0x100000), 0); /* first touched by the guest, by reading */
    v.mem[0x100000] = 7;
    CHECK_EQ(peek_at(&v, 0x100000), 7);
    CHECK_EQ(v.mem[0x100001], 8);
    v.mem[0x180000] = 9; /* first touched by the monitor */
    CHECK_EQ(peek_at(&v, 0x180000), 9);
    CHECK_EQ(v.mem[0x180001], 10);
    vm_close(&v);
}

TEST(outside_the_slots_is_nowhere)
{
    struct vm v = open_peek();
    uint8_t *guard = anonymous(RAM);

    memset(guard, 0x33, RAM);
    check_nowhere(&v, RAM);
    check_nowhere(&v, RAM + 0x1000);
    check_nowhere(&v, 0x3ffff000);
    v.mem[RAM - 2] = 0x66;
    CHECK_EQ(peek_at(&v, RAM - 2), 0x66); /* the last two bytes are inside */
    CHECK_EQ(v.mem[RAM - 1], 0x67);
    for (size_t i = 0; i < RAM; i++)
        CHECK(guard[i] == 0x33);
    munmap(guard, RAM);
    vm_close(&v);
}

TEST(a_slot_may_show_any_part_of_memory)
{
    struct vm v = open_peek();

    CHECK_EQ(set_slot(v.vm, 1, HIGH, 0x2000, v.mem + 0x40000, 0), 0); /* an alias */
    v.mem[0x41000] = 3;
    CHECK_EQ(peek_at(&v, HIGH + 0x1000), 3);
    CHECK_EQ(peek_at(&v, 0x41001), 4);
    check_nowhere(&v, HIGH + 0x2000);
    check_nowhere(&v, HIGH - 0x1000);
    vm_close(&v);
}

TEST(a_deleted_slot_is_gone_at_once)
{
    struct vm v = open_peek();
    uint8_t *first = anonymous(0x10000), *second = anonymous(0x10000);

    first[0] = 1;
    second[0] = 50;
    CHECK_EQ(set_slot(v.vm, 1, HIGH, 0x10000, first, 0), 0);
    CHECK_EQ(peek_at(&v, HIGH), 1);
    CHECK_EQ(set_slot(v.vm, 1, 0, 0, NULL, 0), 0);
    check_nowhere(&v, HIGH);
    CHECK_EQ(set_slot(v.vm, 2, HIGH, 0x10000, second, 0), 0);
    CHECK_EQ(peek_at(&v, HIGH), 50);
    CHECK_EQ(first[1], 2);
    CHECK_EQ(second[1], 51);
    munmap(first, 0x10000);
    munmap(second, 0x10000);
    vm_close(&v);
}

TEST(a_moved_slot_is_at_its_new_place_only)
{
    struct vm v = open_peek();
    uint8_t *memory = anonymous(0x10000);

    memory[0x1000] = 20;
    CHECK_EQ(set_slot(v.vm, 1, HIGH, 0x10000, memory, 0), 0);
    CHECK_EQ(peek_at(&v, HIGH + 0x1000), 20);
    CHECK_EQ(set_slot(v.vm, 1, 2 * HIGH, 0x10000, memory, 0), 0);
    check_nowhere(&v, HIGH + 0x1000);
    CHECK_EQ(peek_at(&v, 2 * HIGH + 0x1001), 21);
    CHECK_ERR(set_slot(v.vm, 1, RAM - 0x1000, 0x10000, memory, 0), EEXIST);
    CHECK_EQ(peek_at(&v, 2 * HIGH + 0x1000), 20);
    munmap(memory, 0x10000);
    vm_close(&v);
}

TEST(a_read_only_slot_cannot_be_written)
{
    struct vm v = open_peek();
    uint8_t *rom = anonymous(0x1000);

    if (ioctl(v.vm, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) > 0) {
        rom[0] = 0x10;
        CHECK_EQ(set_slot(v.vm, 1, HIGH, 0x1000, rom, KVM_MEM_READONLY), 0);
        aim(&v, HIGH);
        CHECK_EQ(run_to_out(&v, 0x10), 0x10);
        run_to(&v, KVM_EXIT_MMIO);
        CHECK_EQ(v.run->mmio.is_write, 1);
        CHECK_EQ(v.run->mmio.phys_addr, HIGH + 1);
        CHECK_EQ(v.run->mmio.data[0], 0x11);
        run_to_halt(&v);
        CHECK_EQ(rom[1], 0);
    }
    munmap(rom, 0x1000);
    vm_close(&v);
}

TEST(two_vms_at_one_address_see_their_own_memory)
{
    struct vm a = open_peek(), b = open_peek();

    for (int i = 0; i < 10; i++) {
        a.mem[0x50000] = (uint8_t)(10 + i);
        b.mem[0x50000] = (uint8_t)(100 + i);
        CHECK_EQ(peek_at(&a, 0x50000), 10 + i);
        CHECK_EQ(peek_at(&b, 0x50000), 100 + i);
    }
    CHECK_EQ(a.mem[0x50001], 20);
    CHECK_EQ(b.mem[0x50001], 110);
    vm_close(&a);
    vm_close(&b);
}

TEST(memory_unmapped_under_a_slot_is_an_error_of_run)
{
    struct vm v = open_peek();
    uint8_t *memory = anonymous(0x10000);

    memory[0] = 5;
    CHECK_EQ(set_slot(v.vm, 1, HIGH, 0x10000, memory, 0), 0);
    CHECK_EQ(peek_at(&v, HIGH), 5);
    munmap(memory, 0x10000);
    aim(&v, HIGH);
    CHECK_ERR(ioctl(v.vcpu, KVM_RUN, 0), EFAULT);
    CHECK_EQ(peek_at(&v, 0x50000), 0); /* the VM goes on elsewhere */
    uint8_t *again = mmap(memory, 0x10000, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(again == memory);
    again[0] = 77; /* the slot is an address, not pages */
    CHECK_EQ(peek_at(&v, HIGH), 77);
    vm_close(&v);
}

TEST(fork_gives_the_child_a_copy_and_the_guest_the_original)
{
    struct vm v = open_peek();
    int to_child[2], status;

    v.mem[0x60000] = 30;
    CHECK_EQ(peek_at(&v, 0x60000), 30); /* mapped for writing in the nested tables */
    v.mem[0x60001] = 1;
    CHECK(pipe(to_child) == 0);
    pid_t child = fork();
    if (child == 0) {
        char go;
        if (read(to_child[0], &go, 1) != 1)
            _exit(2);
        _exit(v.mem[0x60000] == 30 && v.mem[0x60001] == 1 ? 0 : 1);
    }
    CHECK(child > 0);
    v.mem[0x60000] = 40;
    CHECK_EQ(peek_at(&v, 0x60000),
             40); /* the guest writes, after fork, to a page that was shared for copying */
    CHECK_EQ(v.mem[0x60001], 41);
    CHECK(write(to_child[1], "g", 1) == 1);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    close(to_child[0]);
    close(to_child[1]);
    vm_close(&v);
}
