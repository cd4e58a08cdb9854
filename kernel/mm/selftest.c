// What the unit tests on the host cannot see: page faults of the kernel's own copies, write
// protection by the CPU, stale TLB entries.
#include "kernel/mm/selftest.h"
#include <linux/mman.h>
#include "container/cgroup/cgroup.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/hooks.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/x86/log.h"

#define BASE 0x10000000UL
#define PAGES 16
#define RW (PROT_READ | PROT_WRITE)

static struct aspace *loaded;

static struct aspace *loaded_aspace(void)
{
    return loaded;
}

static bool never(void)
{
    return false;
}

static void nothing(void)
{
}

static const struct mm_task_ops test_ops = {
    .current_aspace = loaded_aspace,
    .dying = never,
    .yield = nothing,
    .relax = nothing,
};

static void load(struct aspace *as)
{
    aspace_switch(loaded, as);
    loaded = as;
}

static u64 read_word(vaddr_t va)
{
    u64 v = 0;
    assert(get_user(v, (u64 __user *)va) == 0);
    return v;
}

static void write_word(vaddr_t va, u64 v)
{
    assert(put_user(v, (u64 __user *)va) == 0);
}

static void copies_fault_pages_in(void)
{
    static u8 buf[3 * PAGE_SIZE], back[3 * PAGE_SIZE];
    for (size_t i = 0; i < sizeof(buf); i++)
        buf[i] = i * 7 + i / 256;
    u8 __user *at = (u8 __user *)(BASE + 100);
    assert(copy_to_user(at, buf, sizeof(buf)) == 0);
    assert(copy_from_user(back, at, sizeof(back)) == 0);
    assert(memcmp(buf, back, sizeof(buf)) == 0);
    assert(clear_user(at + 1, 5000) == 0);
    assert(copy_from_user(back, at, sizeof(back)) == 0);
    assert(back[0] == buf[0] && back[1] == 0 && back[5000] == 0 && back[5001] == buf[5001]);
}

static void copies_stop_at_the_end(void)
{
    static u8 buf[PAGE_SIZE];
    u8 __user *end = (u8 __user *)(BASE + PAGES * PAGE_SIZE);
    assert(copy_to_user_partial(end - 13, buf, 40) == 27);
    assert(copy_from_user_partial(buf, end - 3, 300) == 297);
    assert(copy_to_user(end, buf, 1) == -EFAULT);
    assert(clear_user(end - 9, 10) == -EFAULT);
    assert(copy_from_user(buf, (void __user *)DIRECT_MAP, 8) == -EFAULT);
    assert(copy_from_user(buf, (void __user *)(USER_END - 4), 8) == -EFAULT);
    assert(copy_from_user(buf, NULL, 1) == -EFAULT);
    char text[16];
    assert(copy_to_user(end - 6, "world", 6) == 0);
    assert(strncpy_from_user(text, (char __user *)end - 6, sizeof(text)) == 5);
    assert(strcmp(text, "world") == 0);
    assert(strncpy_from_user(text, (char __user *)end - 6, 5) == -ENAMETOOLONG);
    assert(strncpy_from_user(text, (char __user *)end - 3, 2) == -ENAMETOOLONG);
    write_word((vaddr_t)end - 8, ~0UL);
    assert(strncpy_from_user(text, (char __user *)end - 8, sizeof(text)) == -EFAULT);
    u32 old = 5, __user *word = (u32 __user *)(end - 4);
    assert(cmpxchg_user(word, &old, 9) == 0 && old == ~0U);
    assert(cmpxchg_user(word, &old, 9) == 0 && old == ~0U &&
           read_word((vaddr_t)end - 8) >> 32 == 9);
    assert(cmpxchg_user((u32 __user *)end, &old, 9) == -EFAULT);
}

static void protection_is_kept(struct aspace *as)
{
    write_word(BASE, 1);
    assert(aspace_protect(as, BASE, PAGE_SIZE, PROT_READ) == 0);
    assert(put_user(2UL, (u64 __user *)BASE) == -EFAULT);
    assert(read_word(BASE) == 1);
    assert(aspace_protect(as, BASE, PAGE_SIZE, PROT_NONE) == 0);
    u64 v;
    assert(get_user(v, (u64 __user *)BASE) == -EFAULT);
    assert(aspace_protect(as, BASE, PAGE_SIZE, RW) == 0);
    assert(read_word(BASE) == 1);
    write_word(BASE, 3);
    assert(aspace_advise(as, BASE, PAGE_SIZE, MADV_DONTNEED) == 0);
    assert(read_word(BASE) == 0);
}

static void fork_shares_pages_until_written(struct aspace *parent)
{
    write_word(BASE, 10);
    struct aspace *child = aspace_fork(parent, &cgroup_root);
    assert(!IS_ERR(child));
    write_word(BASE, 11);
    load(child);
    assert(read_word(BASE) == 10);
    write_word(BASE, 12);
    load(parent);
    assert(read_word(BASE) == 11);
    load(child);
    assert(read_word(BASE) == 12);
    load(parent);
    aspace_put(child);
}

void mm_selftest(void)
{
    const struct mm_task_ops *saved = mm_task_ops;
    u64 frames = 0, charged = cgroup_root.memory.usage;
    mm_task_ops = &test_ops;
    for (int round = 0; round < 2; round++) { // the first one fills the slabs
        frames = frame_free_count();
        struct aspace *as = aspace_create(&cgroup_root);
        assert(!IS_ERR(as));
        load(as);
        assert(aspace_map(as, BASE, PAGES * PAGE_SIZE, RW, MAP_PRIVATE | MAP_FIXED, NULL, 0, NULL,
                          NULL) == BASE);
        copies_fault_pages_in();
        copies_stop_at_the_end();
        protection_is_kept(as);
        fork_shares_pages_until_written(as);
        load(NULL);
        aspace_put(as);
    }
    assert(frame_free_count() == frames && cgroup_root.memory.usage == charged);
    mm_task_ops = saved;
    kprintf("mm: self-test passed\n");
}
