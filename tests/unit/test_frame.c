// with: kernel/mm/frame.c kernel/mm/slab.c container/cgroup/cgroup.c
// The frame allocator and the slab: what is handed out never overlaps and all of it comes back.
#include <string.h>
#include "container/cgroup/cgroup.h"
#include "kernel/mm/oom.h"
#include "kernel/mm/slab.h"
#include "tests/unit/mm_host.h"

static struct cgroup *killed_in;
static int kills;

static bool record_kill(struct cgroup *over)
{
    killed_in = over;
    kills++;
    return true;
}

static u32 seed = 12345;

static u32 random_below(u32 n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void blocks_are_aligned_and_do_not_overlap(void)
{
    enum { LIVE = 200 };
    struct page *live[LIVE] = {0};
    u64 before = frame_free_count();
    for (int i = 0; i < 20000; i++) {
        u32 slot = random_below(LIVE);
        struct page **p = &live[slot];
        if (*p) {
            u64 *first = page_to_virt(*p);
            u64 *last = first + ((PAGE_SIZE << (*p)->order) / 8 - 1);
            expect(*first, slot);
            expect(*last, slot + 1000);
            page_put(*p);
            *p = NULL;
            continue;
        }
        unsigned order = random_below(6);
        *p = frame_alloc(order, 0);
        if (!*p)
            continue;
        expect(page_to_phys(*p) & ((PAGE_SIZE << order) - 1), 0);
        u64 *first = page_to_virt(*p);
        *first = slot;
        first[(PAGE_SIZE << order) / 8 - 1] = slot + 1000;
    }
    for (int i = 0; i < LIVE; i++)
        if (live[i])
            page_put(live[i]);
    expect(frame_free_count(), before);
}

static void reserved_memory_is_never_handed_out(void)
{
    static struct page *all[4096];
    u64 n = 0, before = frame_free_count();
    while ((all[n] = frame_alloc(0, 0))) {
        paddr_t pa = page_to_phys(all[n]);
        expect(pa >= 0x200000 && pa < 0x1000000, 1);
        expect(pa < 0x400000 || pa >= 0x405000, 1);
        n++;
    }
    expect(n, before);
    expect(frame_free_count(), 0);
    for (u64 i = 0; i < n; i++)
        page_put(all[i]);
    struct page *large = frame_alloc(FRAME_MAX_ORDER, 0);
    expect(large != NULL, 1);
    page_put(large);
}

static void modules_can_be_released(void)
{
    u64 before = frame_free_count(), total = frame_total();
    expect(phys_to_page(0x400000) == NULL, 1);
    frame_release_range(0x400000, 0x405000);
    expect(frame_free_count(), before + 5);
    expect(frame_total(), total + 5);
    expect(phys_to_page(0x404000) != NULL, 1);
}

static void charges_follow_the_frame(void)
{
    struct cgroup *a = cgroup_create(&cgroup_root, "a");
    struct cgroup *b = cgroup_create(a, "b");
    a->memory.max = 3 * PAGE_SIZE;
    struct page *p[4];
    for (int i = 0; i < 3; i++)
        p[i] = frame_alloc_charged(b, FRAME_ZERO);
    expect(a->memory.usage, 3 * PAGE_SIZE);
    u64 before = frame_free_count();
    expect(frame_alloc_charged(b, 0) == NULL, 1);
    expect(frame_free_count(), before);
    expect(kills, 1);
    expect(killed_in == a, 1);
    expect(a->memory.events_oom, 1);
    expect(b->memory.events_oom, 0);
    expect(cgroup_remove(b), 0);
    page_get(p[0]);
    for (int i = 0; i < 3; i++)
        page_put(p[i]);
    expect(a->memory.usage, PAGE_SIZE);
    page_put(p[0]);
    expect(cgroup_root.memory.usage, 0);
    expect(cgroup_remove(a), 0);
}

static void runs_are_paid_for_frame_by_frame(void)
{
    struct cgroup *cg = cgroup_create(&cgroup_root, "runs");
    u64 before = frame_free_count();
    cg->memory.max = 600 * PAGE_SIZE;
    struct page *run = frame_alloc_run(9, cg);
    expect(run != NULL, 1);
    expect(page_to_phys(run) % (512 * PAGE_SIZE), 0);
    expect(cg->memory.usage, 512 * PAGE_SIZE);
    expect(frame_alloc_run(9, cg) == NULL, 1); // over the limit: no kill
    expect(kills, 0);
    for (unsigned i = 0; i < 512; i++) {
        expect(cg->memory.usage, (512 - i) * PAGE_SIZE);
        expect(*(u64 *)page_to_virt(run + i), 0);
        page_put(run + i);
    }
    expect(frame_free_count(), before);
    expect(cgroup_remove(cg), 0);
}

static void objects_keep_their_contents(void)
{
    enum { LIVE = 500 };
    static u8 *live[LIVE];
    static size_t size[LIVE];
    u64 used = slab_bytes_used();
    for (int i = 0; i < 50000; i++) {
        u32 k = random_below(LIVE);
        if (!live[k]) {
            size[k] = 1 + random_below(random_below(10) ? 600 : 9000);
            live[k] = kmalloc(size[k]);
            expect(((u64)live[k] & 15) == 0, 1);
            memset(live[k], (u8)k, size[k]);
        } else if (random_below(4) == 0) {
            size_t grown = 1 + random_below(3000);
            live[k] = krealloc(live[k], grown);
            expect(live[k][min(grown, size[k]) - 1], (u8)k);
            size[k] = grown;
            memset(live[k], (u8)k, grown);
        } else {
            expect(live[k][0], (u8)k);
            expect(live[k][size[k] - 1], (u8)k);
            kfree(live[k]);
            live[k] = NULL;
        }
    }
    for (int i = 0; i < LIVE; i++)
        kfree(live[i]);
    expect(slab_bytes_used(), used);
}

static void power_of_two_objects_are_aligned(void)
{
    for (size_t size = 16; size <= PAGE_SIZE; size *= 2) {
        void *a = kmalloc(size), *b = kmalloc(size);
        expect(((u64)a | (u64)b) & (size - 1), 0);
        kfree(a);
        kfree(b);
    }
    char *s = kstrdup("vivarium");
    expect(strcmp(s, "vivarium"), 0);
    kfree(s);
    kfree(NULL);
}

static struct cgroup *payer;

static struct cgroup *who_pays(void)
{
    return payer;
}

static void charged_objects_are_paid_until_freed(void)
{
    void *p[100];
    payer = cgroup_create(&cgroup_root, "payer");
    oom_current_cgroup = who_pays;
    payer->memory.max = 100 * 128;
    for (int i = 0; i < 100; i++)
        memset(p[i] = kzalloc_charged(120), i, 120);
    expect(payer->memory.usage, 100 * 128);
    expect(kmalloc_charged(1) == NULL, 1);
    kfree(kmalloc(1000));
    for (int i = 1; i < 100; i++)
        kfree(p[i]);
    void *large = kmalloc_charged(PAGE_SIZE);
    expect(payer->memory.usage, 128 + PAGE_SIZE);
    expect(kmalloc_charged(3 * PAGE_SIZE) == NULL, 1);
    large = krealloc(large, 2 * PAGE_SIZE);
    expect(payer->memory.usage, 128 + 2 * PAGE_SIZE);
    kfree(large);
    p[0] = krealloc(p[0], 150);
    expect(payer->memory.usage, 256);
    expect(cgroup_remove(payer), 0);
    expect(cgroup_root.memory.usage, 256);
    kfree(p[0]);
    expect(cgroup_root.memory.usage, 0);
    oom_current_cgroup = NULL;
}

int main(void)
{
    boot_info.module_count = 1;
    boot_info.module[0] = (struct boot_module){.start = 0x400000, .end = 0x404001};
    cgroup_init();
    oom_kill_hook = record_kill;
    host_machine();
    u64 at_start = frame_free_count();
    blocks_are_aligned_and_do_not_overlap();
    objects_keep_their_contents();
    power_of_two_objects_are_aligned();
    u64 kept = at_start - frame_free_count();
    expect(kept <= 8, 1); // one empty slab a class at most
    reserved_memory_is_never_handed_out();
    runs_are_paid_for_frame_by_frame();
    charges_follow_the_frame();
    charged_objects_are_paid_until_freed();
    modules_can_be_released();
    return failures != 0;
}
