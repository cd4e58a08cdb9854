/* The dirty log has no false negatives (invariant 11): whatever writes to a logged slot in the
 * guest's name shows, and what is copied by the log is the guest's memory in the end. */
#include "tests/guest/kvm_lib.h"

#include <pthread.h>

enum { HIGH = 0x1000000, PAGES = 200, SIZE = PAGES * 0x1000, WORDS = (PAGES + 63) / 64 };

static uint64_t bitmap[WORDS];

static int get_log(struct vm *v, uint32_t slot)
{
    struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bitmap};

    return ioctl(v->vm, KVM_GET_DIRTY_LOG, &log);
}

static unsigned logged(struct vm *v)
{
    unsigned n = 0;

    memset(bitmap, 0xff, sizeof(bitmap));
    CHECK_OK(get_log(v, 1));
    for (unsigned i = 0; i < WORDS; i++)
        n += (unsigned)__builtin_popcountll(bitmap[i]);
    return n;
}

static bool is_logged(unsigned page)
{
    return bitmap[page / 64] >> page % 64 & 1;
}

static struct vm open_logged(const uint8_t *code, const uint8_t *end, uint8_t **memory)
{
    struct vm v = vm_open(RAM);

    set_supported_cpuid(&v);
    load(&v, code, end);
    start_64(&v);
    *memory = anonymous(SIZE);
    CHECK_OK(set_slot(v.vm, 1, HIGH, SIZE, *memory, KVM_MEM_LOG_DIRTY_PAGES));
    return v;
}

static void close_logged(struct vm *v, uint8_t *memory)
{
    vm_close(v);
    munmap(memory, SIZE);
}

static void aim(struct vm *v, uint64_t address)
{
    set_regs(v, (struct kvm_regs){.rip = CODE,
                                  .rsp = STACK,
                                  .rflags = 2,
                                  .rbx = address,
                                  .rdi = address,
                                  .rcx = 4,
                                  .rdx = 0x30});
}

/* Reads at rbx; on the next run writes there. */
GUEST_CODE(touch, 64, "mov (%rbx), %al; hlt; incb (%rbx); hlt");
#define OPEN(code, memory) open_logged(code, code##_end, memory)

TEST(writes_show_once_and_reads_never)
{
    uint8_t *memory;
    struct vm v = OPEN(touch, &memory);

    CHECK_EQ(logged(&v), 0);
    for (unsigned page = 0; page < PAGES; page += 3) {
        aim(&v, HIGH + page * 0x1000ull);
        run_to_halt(&v);
    }
    CHECK_EQ(logged(&v), 0);
    for (int again = 0; again < 3; again++) {
        aim(&v, HIGH + 7 * 0x1000);
        run_to_halt(&v);
        run_to_halt(&v);
        aim(&v, HIGH + (PAGES - 1) * 0x1000);
        run_to_halt(&v);
        run_to_halt(&v);
        CHECK_EQ(logged(&v), 2);
        CHECK(is_logged(7) && is_logged(PAGES - 1));
        CHECK_EQ(logged(&v), 0);
    }
    CHECK_EQ(memory[7 * 0x1000], 3);
    close_logged(&v, memory);
}

TEST(a_log_begins_and_ends_with_its_flag)
{
    uint8_t *memory;
    struct vm v = OPEN(touch, &memory);

    CHECK_OK(set_slot(v.vm, 1, HIGH, SIZE, memory, 0));
    CHECK_ERR(get_log(&v, 1), ENOENT);
    aim(&v, HIGH);
    run_to_halt(&v);
    run_to_halt(&v);
    CHECK_OK(set_slot(v.vm, 1, HIGH, SIZE, memory, KVM_MEM_LOG_DIRTY_PAGES));
    CHECK_EQ(logged(&v), 0);
    aim(&v, HIGH); /* writable before the log began */
    run_to_halt(&v);
    run_to_halt(&v);
    CHECK_OK(set_slot(v.vm, 1, HIGH, SIZE, memory, KVM_MEM_LOG_DIRTY_PAGES)); /* no change */
    CHECK_EQ(logged(&v), 1);
    CHECK(is_logged(0));
    CHECK_OK(set_slot(v.vm, 1, 0, 0, NULL, 0));
    CHECK_ERR(get_log(&v, 1), ENOENT);
    close_logged(&v, memory);
}

/* Port input into memory: the kernel writes for the guest. */
GUEST_CODE(input, 64, "cld; rep insb; hlt");

TEST(input_that_the_kernel_writes_shows)
{
    uint8_t *memory;
    struct vm v = OPEN(input, &memory);

    aim(&v, HIGH + 9 * 0x1000 - 2); /* over the end of a page */
    while (run(&v) == KVM_EXIT_IO)
        memset((uint8_t *)v.run + v.run->io.data_offset, 0x5a, v.run->io.count);
    CHECK_EQ(v.run->exit_reason, KVM_EXIT_HLT);
    CHECK_EQ(memory[9 * 0x1000 + 1], 0x5a);
    CHECK_EQ(logged(&v), 2);
    CHECK(is_logged(8) && is_logged(9));
    close_logged(&v, memory);
}

/* From a device into memory, by MOVS: the kernel emulates it. */
GUEST_CODE(from_device, 64, "mov $0x2000000, %esi; cld; movsq; hlt");

TEST(an_emulated_store_shows)
{
    uint8_t *memory;
    struct vm v = OPEN(from_device, &memory);

    aim(&v, HIGH + 5 * 0x1000);
    run_to(&v, KVM_EXIT_MMIO);
    memset(v.run->mmio.data, 0x77, 8);
    run_to_halt(&v);
    CHECK_EQ(memory[5 * 0x1000 + 7], 0x77);
    CHECK_EQ(logged(&v), 1);
    CHECK(is_logged(5));
    close_logged(&v, memory);
}

/* Page tables at rbx: the processor sets their accessed bits. */
GUEST_CODE(new_tables, 64, "mov %rbx, %cr3; hlt");

TEST(accessed_bits_show)
{
    uint8_t *memory;
    struct vm v = OPEN(new_tables, &memory);
    uint64_t *pml4 = (uint64_t *)(memory + 3 * 0x1000);

    pml4[0] = TABLES + 0x1003;
    aim(&v, HIGH + 3 * 0x1000);
    run_to_halt(&v);
    CHECK(pml4[0] & 0x20);
    logged(&v);
    CHECK(is_logged(3));
    close_logged(&v, memory);
}

/* Counts in a word of each page, in strides that change; rbx is where. */
GUEST_CODE(scribble, 64,
           "mov $1, %r8d\n1: mov %r8, %rax; imul $31, %rax; and $127, %rax; shl $12, %rax\n"
           "add %r8, (%rbx, %rax); inc %r8; test $0xfff, %r8; jnz 1b; out %al, $0x10; jmp 1b");

struct copier {
    struct vm *vm;
    uint8_t *memory, *copy;
    volatile bool stop;
};

static void copy_logged(struct copier *c)
{
    CHECK_OK(get_log(c->vm, 1));
    for (unsigned page = 0; page < PAGES; page++)
        if (is_logged(page))
            memcpy(c->copy + page * 0x1000, c->memory + page * 0x1000, 0x1000);
}

static void *keep_copying(void *arg)
{
    struct copier *c = arg;

    while (!c->stop)
        copy_logged(c);
    return NULL;
}

TEST(what_the_log_copies_is_the_memory_in_the_end)
{
    uint8_t *memory;
    struct vm v = OPEN(scribble, &memory);
    struct copier c = {.vm = &v, .memory = memory, .copy = anonymous(SIZE)};
    pthread_t thread;

    aim(&v, HIGH);
    CHECK(pthread_create(&thread, NULL, keep_copying, &c) == 0);
    for (int i = 0; i < 60; i++)
        run_to_out(&v, 0x10);
    c.stop = true;
    CHECK(pthread_join(thread, NULL) == 0);
    copy_logged(&c);
    CHECK(!memcmp(c.copy, memory, SIZE));
    CHECK(*(uint64_t *)(memory + 31 * 0x1000));
    munmap(c.copy, SIZE);
    close_logged(&v, memory);
}

TEST(bad_requests_are_refused)
{
    uint8_t *memory;
    struct vm v = OPEN(touch, &memory);
    struct kvm_dirty_log log = {.slot = 1, .dirty_bitmap = (void *)0x10};

    CHECK_ERR(get_log(&v, 0), ENOENT);
    CHECK_ERR(get_log(&v, 3), ENOENT);
    CHECK_ERR(get_log(&v, 0xffff), EINVAL);
    CHECK_ERR(get_log(&v, 0x10001), EINVAL);
    CHECK_ERR(ioctl(v.vm, KVM_GET_DIRTY_LOG, NULL), EFAULT);
    aim(&v, HIGH);
    run_to_halt(&v);
    run_to_halt(&v);
    CHECK_ERR(ioctl(v.vm, KVM_GET_DIRTY_LOG, &log), EFAULT);
    CHECK_EQ(logged(&v), 1); /* the log that could not be handed over is not lost */
    close_logged(&v, memory);
}
