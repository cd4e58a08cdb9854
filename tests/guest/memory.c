/* Address spaces: mappings, protection, sharing, the heap and the stack. */
#include "tests/guest/test.h"
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static char *map(size_t size, int flags)
{
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

TEST(anonymous_memory_is_zero_and_page_aligned)
{
    char *at = map(1 << 20, MAP_PRIVATE);
    CHECK_EQ((uintptr_t)at & 4095, 0);
    for (int i = 0; i < 1 << 20; i += 1021)
        CHECK_EQ(at[i], 0);
    memset(at, 0x5a, 1 << 20);
    CHECK_EQ(at[(1 << 20) - 1], 0x5a);
    CHECK_OK(munmap(at, 1 << 20));
    char *again = map(1 << 20, MAP_PRIVATE);
    for (int i = 0; i < 1 << 20; i += 1021)
        CHECK_EQ(again[i], 0);
}

TEST(shared_anonymous_memory_is_seen_by_the_child_and_back)
{
    volatile int *at = (volatile int *)map(4096, MAP_SHARED);
    int status;
    at[0] = 1;
    IN_CHILD(status, CHECK_EQ(at[0], 1); at[1] = 22);
    CHECK_EQ(status, 0);
    CHECK_EQ(at[1], 22);
}

TEST(private_memory_is_copied_on_write_page_by_page)
{
    char *at = map(64 * 4096, MAP_PRIVATE);
    int status;
    memset(at, 'a', 64 * 4096);
    IN_CHILD(status, for (int i = 0; i < 64; i += 2) at[i * 4096] = 'b';
             for (int i = 0; i < 64; i++) CHECK_EQ(at[i * 4096], i % 2 ? 'a' : 'b'));
    CHECK_EQ(status, 0);
    for (int i = 0; i < 64; i++)
        CHECK_EQ(at[i * 4096], 'a');
}

TEST(mappings_of_a_file_share_or_copy)
{
    char buffer[8] = "";
    enter_scratch();
    CHECK_OK(write_file("f", "0123456789"));
    int fd = open("f", O_RDWR);
    char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(shared != MAP_FAILED && private != MAP_FAILED);
    CHECK_EQ(memcmp(shared, "0123456789", 11), 0);
    private[0] = 'P';
    CHECK_EQ(shared[0], '0');
    shared[1] = 'S';
    CHECK_EQ(pread(fd, buffer, 3, 0), 3);
    CHECK_STR(buffer, "0S2");
    CHECK_EQ(pwrite(fd, "W", 1, 2), 1);
    CHECK_EQ(shared[2], 'W');
    CHECK_OK(msync(shared, 4096, MS_SYNC));
    close(fd);
    shared[3] = 'C'; /* the mapping outlives the descriptor */
    CHECK_OK(munmap(shared, 4096));
    CHECK_STR(read_file("f"), "0SWC456789");
}

TEST(file_mapping_starts_at_its_offset)
{
    enter_scratch();
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pwrite(fd, &i, sizeof i, i * 4096L), sizeof i);
    int *at = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 8192);
    CHECK(at != MAP_FAILED);
    CHECK_EQ(at[0], 2);
    CHECK_EQ(at[1024], 3);
    CHECK_ERR((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 100), EINVAL);
}

TEST(mapping_needs_the_rights_of_the_descriptor)
{
    enter_scratch();
    CHECK_OK(write_file("f", "text"));
    int in = open("f", O_RDONLY), out = open("f", O_WRONLY);
    CHECK_ERR((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, in, 0), EACCES);
    CHECK_ERR((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, out, 0), EACCES);
    char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, in, 0);
    CHECK(at != MAP_FAILED);
    at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, in, 0);
    CHECK_ERR(mprotect(at, 4096, PROT_READ | PROT_WRITE), EACCES);
}

TEST(mmap_refuses_what_makes_no_sense)
{
    CHECK_ERR((long)mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERR((long)mmap(NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERR((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
    CHECK_ERR((long)mmap(NULL, 1UL << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    CHECK_ERR(
        (long)mmap((void *)4097, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        EINVAL);
    CHECK_ERR((long)mmap((void *)0xffffffffff0000, 1 << 20, PROT_READ,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
              ENOMEM);
    CHECK_ERR(munmap((void *)1, 4096), EINVAL);
    CHECK_ERR(munmap((void *)4096, 0), EINVAL);
    CHECK_ERR(mprotect((void *)1, 4096, PROT_READ), EINVAL);
    CHECK_ERR(mprotect((void *)0x10000, 4096, PROT_READ), ENOMEM);
    CHECK_OK(munmap((void *)0x10000, 4096)); /* nothing there: nothing to do */
}

TEST(fixed_mapping_replaces_and_noreplace_refuses)
{
    char *at = map(3 * 4096, MAP_PRIVATE);
    memset(at, 'x', 3 * 4096);
    char *middle = mmap(at + 4096, 4096, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK_EQ((uintptr_t)middle, (uintptr_t)at + 4096);
    CHECK_EQ(at[0], 'x');
    CHECK_EQ(at[4096], 0);
    CHECK_EQ(at[8192], 'x');
    CHECK_ERR(
        (long)mmap(at, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
        EEXIST);
}

TEST(mprotect_splits_and_joins_areas)
{
    char *at = map(16 * 4096, MAP_PRIVATE);
    for (int round = 0; round < 10; round++)
        for (int i = 0; i < 16; i++) {
            at[i * 4096] = (char)i;
            CHECK_OK(mprotect(at + i * 4096, 4096, PROT_READ));
            CHECK_EQ(at[i * 4096], i);
            CHECK_OK(mprotect(at + i * 4096, 4096, PROT_READ | PROT_WRITE));
        }
    memset(at, 1, 16 * 4096);
}

TEST(munmap_makes_holes_that_can_be_filled)
{
    char *at = map(9 * 4096, MAP_PRIVATE);
    memset(at, 'x', 9 * 4096);
    for (int i = 1; i < 9; i += 2)
        CHECK_OK(munmap(at + i * 4096, 4096));
    CHECK_ERR(mprotect(at, 9 * 4096, PROT_READ), ENOMEM);
    CHECK_ERR(msync(at, 9 * 4096, MS_ASYNC), ENOMEM);
    CHECK_EQ(at[4096 * 8], 'x');
}

TEST(mremap_grows_moves_and_shrinks)
{
    char *at = map(2 * 4096, MAP_PRIVATE);
    strcpy(at, "kept");
    strcpy(at + 4096, "also");
    char *big = mremap(at, 2 * 4096, 4 << 20, MREMAP_MAYMOVE);
    CHECK(big != MAP_FAILED);
    CHECK_STR(big, "kept");
    CHECK_STR(big + 4096, "also");
    CHECK_EQ(big[(4 << 20) - 1], 0);
    CHECK_EQ((long)mremap(big, 4 << 20, 4096, 0), (long)big);
    CHECK_STR(big, "kept");
    char *room = map(4096, MAP_PRIVATE);
    CHECK_EQ((long)mremap(big, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, room), (long)room);
    CHECK_STR(room, "kept");
    CHECK_ERR((long)mremap((void *)0x10000, 4096, 8192, MREMAP_MAYMOVE), EFAULT);
}

TEST(madvise_dontneed_gives_zeroes)
{
    char *at = map(8192, MAP_PRIVATE);
    memset(at, 'x', 8192);
    CHECK_OK(madvise(at, 4096, MADV_DONTNEED));
    CHECK_EQ(at[0], 0);
    CHECK_EQ(at[4096], 'x');
}

TEST(brk_moves_the_end_of_the_heap)
{
    char *end = (char *)syscall(SYS_brk, 0);
    CHECK_EQ(syscall(SYS_brk, end + 100000), end + 100000);
    memset(end, 'h', 100000);
    CHECK_EQ(syscall(SYS_brk, end), end);
    CHECK_EQ(syscall(SYS_brk, end + 100000), end + 100000);
    CHECK_EQ(end[8192], 0); /* what was given back comes back clean */
    CHECK_EQ(syscall(SYS_brk, 1), end + 100000);
    CHECK_EQ(syscall(SYS_brk, 1UL << 46), end + 100000);
}

__attribute__((noinline)) static int use_stack(int kib)
{
    volatile char room[1024];
    room[0] = (char)kib;
    return kib ? use_stack(kib - 1) + room[0] * 0 : 0;
}

TEST(stack_grows_on_demand)
{
    CHECK_EQ(use_stack(4096), 0);
}

TEST(address_space_limit_is_kept)
{
    struct rlimit limit = {64 << 20, 64 << 20};
    CHECK_OK(setrlimit(RLIMIT_AS, &limit));
    CHECK_ERR((long)mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    map(1 << 20, MAP_PRIVATE);
}

TEST(a_large_mapping_costs_nothing_until_touched)
{
    char *at = mmap(NULL, 1UL << 36, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(at != MAP_FAILED);
    for (unsigned long i = 0; i < 64; i++)
        at[i << 30] = 1;
    CHECK_OK(munmap(at, 1UL << 36));
}

TEST(memory_given_back_can_be_had_again)
{
    for (int round = 0; round < 64; round++) {
        char *at = map(16 << 20, MAP_PRIVATE);
        for (int i = 0; i < 16 << 20; i += 4096)
            at[i] = 1;
        CHECK_OK(munmap(at, 16 << 20));
    }
}

TEST(memfd_is_a_file_in_memory)
{
    int fd = memfd_create("name", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_OK(ftruncate(fd, 8192));
    char *a = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    strcpy(a + 4096, "through");
    CHECK_STR(b + 4096, "through");
}

TEST(fork_of_a_big_process_is_cheap_and_right)
{
    int status;
    char *at = map(32 << 20, MAP_PRIVATE);
    for (int i = 0; i < 32 << 20; i += 4096)
        at[i] = (char)(i >> 12);
    IN_CHILD(status, for (int i = 0; i < 32 << 20; i += 4096) CHECK_EQ(at[i], (char)(i >> 12)));
    CHECK_EQ(status, 0);
}
