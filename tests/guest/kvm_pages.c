/* Guest memory of which the VMM said MADV_HUGEPAGE comes in nested pages of 2 MiB: a few faults
 * bring much of it. What is done to a part of such a page is done to that part alone. */
#include "tests/guest/kvm_lib.h"

#include <sys/wait.h>

enum { HIGH = 0x1000000, LARGE = 0x200000, SIZE = 4 * LARGE, PAGES = SIZE / 0x1000 };

/* Adds one to the first byte of each of rcx pages from rdi on. */
GUEST_CODE(count_pages, 64, "1: incb (%rdi); add $0x1000, %rdi; dec %rcx; jnz 1b; hlt");

struct huge {
    struct vm vm;
    uint8_t *all, *memory; /* what was mapped, and the 2 MiB boundary in it */
};

static struct huge open_huge(uint64_t offset)
{
    struct huge h = {.vm = vm_open(RAM), .all = anonymous(SIZE + 2 * LARGE)};

    h.memory = (uint8_t *)(((uintptr_t)h.all + LARGE - 1) & ~(uintptr_t)(LARGE - 1)) + offset;
    CHECK_OK(madvise(h.all, SIZE + 2 * LARGE, MADV_HUGEPAGE));
    set_supported_cpuid(&h.vm);
    load(&h.vm, count_pages, count_pages_end);
    start_64(&h.vm);
    CHECK_OK(set_slot(h.vm.vm, 1, HIGH, SIZE, h.memory, 0));
    return h;
}

static void close_huge(struct huge *h)
{
    vm_close(&h->vm);
    munmap(h->all, SIZE + 2 * LARGE);
}

/* 0 on systems that do not say it: what is expected of them is then expected of nobody. */
static unsigned long exits(void)
{
    unsigned long n = 0;
    char line[128];
    FILE *status = fopen("/proc/self/status", "r");

    while (fgets(line, sizeof(line), status))
        sscanf(line, "VivExits: %lu", &n);
    fclose(status);
    return n;
}

/* Counts `pages` up from page `first`; returns how many exits that took. */
static unsigned long count(struct huge *h, unsigned first, unsigned pages)
{
    unsigned long before = exits();

    set_regs(
        &h->vm,
        (struct kvm_regs){
            .rip = CODE, .rsp = STACK, .rflags = 2, .rdi = HIGH + first * 0x1000ull, .rcx = pages});
    run_to_halt(&h->vm);
    return exits() - before;
}

static void expect_counts(struct huge *h, unsigned first, unsigned pages, uint8_t value)
{
    for (unsigned page = first; page < first + pages; page++)
        CHECK_EQ(h->memory[page * 0x1000], value);
}

TEST(a_fault_brings_two_mebibytes)
{
    struct huge h = open_huge(0);

    CHECK(count(&h, 0, PAGES) < PAGES / 16); /* and what interrupts come */
    CHECK(count(&h, 0, PAGES) < PAGES / 16);
    expect_counts(&h, 0, PAGES, 2);
    close_huge(&h);
}

TEST(a_slot_out_of_step_with_its_memory_has_small_pages)
{
    struct huge h = open_huge(0x1000);

    count(&h, 0, PAGES);
    count(&h, 0, PAGES);
    expect_counts(&h, 0, PAGES, 2);
    close_huge(&h);
}

TEST(memory_given_back_from_the_midst_is_zeros_and_its_neighbours_stay)
{
    struct huge h = open_huge(0);

    count(&h, 0, PAGES);
    CHECK_OK(madvise(h.memory + 700 * 0x1000, 0x1000, MADV_DONTNEED));
    count(&h, 0, PAGES);
    expect_counts(&h, 0, 700, 2);
    expect_counts(&h, 700, 1, 1);
    expect_counts(&h, 701, PAGES - 701, 2);
    close_huge(&h);
}

TEST(read_before_written)
{
    struct huge h = open_huge(0);

    expect_counts(&h, 0, PAGES, 0); /* zero pages, from here on */
    CHECK(count(&h, 3, PAGES - 3) < PAGES / 16);
    expect_counts(&h, 0, 3, 0);
    expect_counts(&h, 3, PAGES - 3, 1);
    close_huge(&h);
}

TEST(single_pages_first)
{
    struct huge h = open_huge(0);

    CHECK_OK(madvise(h.all, SIZE + 2 * LARGE, MADV_NOHUGEPAGE));
    count(&h, 5, 2);
    CHECK_OK(madvise(h.memory, SIZE, MADV_DONTNEED));
    CHECK_OK(madvise(h.all, SIZE + 2 * LARGE, MADV_HUGEPAGE));
    CHECK(count(&h, 0, PAGES) < PAGES / 16);
    expect_counts(&h, 0, PAGES, 1);
    close_huge(&h);
}

TEST(a_child_keeps_what_was_at_the_fork)
{
    struct huge h = open_huge(0);
    int status;

    count(&h, 0, PAGES);
    pid_t child = fork();
    if (child == 0) {
        expect_counts(&h, 0, PAGES, 1);
        _exit(0);
    }
    count(&h, 0, PAGES);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    expect_counts(&h, 0, PAGES, 2);
    close_huge(&h);
}

TEST(the_dirty_log_counts_small_pages)
{
    static uint64_t bitmap[PAGES / 64];
    struct huge h = open_huge(0);
    struct kvm_dirty_log log = {.slot = 1, .dirty_bitmap = bitmap};

    count(&h, 0, PAGES);
    CHECK_OK(set_slot(h.vm.vm, 1, HIGH, SIZE, h.memory, KVM_MEM_LOG_DIRTY_PAGES));
    count(&h, 600, 3);
    CHECK_OK(ioctl(h.vm.vm, KVM_GET_DIRTY_LOG, &log));
    for (unsigned word = 0; word < PAGES / 64; word++)
        CHECK_EQ(bitmap[word], word == 600 / 64 ? 7ull << 600 % 64 : 0);
    CHECK_OK(set_slot(h.vm.vm, 1, HIGH, SIZE, h.memory, 0));
    CHECK(count(&h, 0, PAGES) < PAGES / 16);
    expect_counts(&h, 600, 3, 3);
    expect_counts(&h, 603, PAGES - 603, 2);
    close_huge(&h);
}
