// Physical memory: a binary buddy allocator over the RAM that the boot loader reported.
//
// A block of order n is 2^n frames, aligned to its size. Its buddy is the block that differs from
// it in bit n of the frame number; two free buddies merge. The frame array has an entry for each
// frame up to the end of RAM; entries that are not RAM lack PAGE_RAM and never merge. Single
// frames go through a small stack first: most are freed and allocated again at once, and merging
// and splitting them each time would be wasted work. The kernel lock guards everything.
#include "kernel/mm/frame.h"
#include "container/cgroup/cgroup.h"
#include "kernel/boot/boot_info.h"
#include "kernel/lib/string.h"
#include "kernel/mm/oom.h"
#include "kernel/x86/log.h"

#define LOW_MEMORY_END 0x100000UL // BIOS data, AP start-up code
#define CACHE_SIZE 128
#define KERNEL_RESERVE 128 // frames that only the kernel's own needs may use up
#define RUN_RESERVE 8      // the part of all frames, one in so many, that runs leave free

struct page *frame_array;
u64 frame_array_size; // entries
static struct list free_lists[FRAME_MAX_ORDER + 1];
static struct page *cache[CACHE_SIZE]; // free frames, each with refs 0 and not PAGE_FREE
static unsigned cached;
static u64 total_frames, free_frames;
static struct page *zeros;

bool (*oom_kill_hook)(struct cgroup *over);
struct cgroup *(*oom_current_cgroup)(void);

struct page *zero_page(void)
{
    return zeros;
}

u64 frame_total(void)
{
    return total_frames;
}

u64 frame_free_count(void)
{
    return free_frames;
}

// Puts a block into its free list, merged with its buddies as far as they are free.
static void block_insert(struct page *p, unsigned order)
{
    u64 n = p - frame_array;
    for (; order < FRAME_MAX_ORDER; order++) {
        u64 buddy = n ^ BIT(order);
        if (buddy >= frame_array_size)
            break;
        struct page *b = &frame_array[buddy];
        if (!(b->flags & PAGE_FREE) || b->order != order)
            break;
        list_remove(&b->free_link);
        b->flags &= ~PAGE_FREE;
        n &= ~BIT(order);
    }
    p = &frame_array[n];
    p->order = order;
    p->flags |= PAGE_FREE;
    list_push(&free_lists[order], &p->free_link);
}

// Takes a block of `order` out of the free lists, splitting a larger one if it must.
static struct page *block_take(unsigned order)
{
    unsigned have = order;
    while (have <= FRAME_MAX_ORDER && list_empty(&free_lists[have]))
        have++;
    if (have > FRAME_MAX_ORDER)
        return NULL;
    struct page *p = list_first(&free_lists[have], struct page, free_link);
    list_remove(&p->free_link);
    p->flags &= ~PAGE_FREE;
    while (have > order) {
        have--;
        struct page *half = p + BIT(have);
        half->order = have;
        half->flags |= PAGE_FREE;
        list_push(&free_lists[have], &half->free_link);
    }
    return p;
}

static void cache_drain(unsigned keep)
{
    while (cached > keep)
        block_insert(cache[--cached], 0);
}

static struct page *block_alloc(unsigned order)
{
    if (order == 0 && cached)
        return cache[--cached];
    struct page *p = block_take(order);
    if (p || !cached)
        return p;
    cache_drain(0);
    return block_take(order);
}

struct page *frame_alloc(unsigned order, unsigned flags)
{
    assert(order <= FRAME_MAX_ORDER);
    struct page *p = block_alloc(order);
    if (!p)
        return NULL;
    free_frames -= BIT(order);
    p->refs = 1;
    p->order = order;
    p->cgroup = NULL;
    if (flags & FRAME_ZERO)
        memset(page_to_virt(p), 0, PAGE_SIZE << order);
    return p;
}

static void out_of_memory(struct cgroup *over)
{
    if (over)
        cgroup_count_oom(over);
    if (oom_kill_hook)
        oom_kill_hook(over);
}

struct page *frame_alloc_charged(struct cgroup *cg, unsigned flags)
{
    struct cgroup *over = NULL;
    if (cg && !cgroup_charge_memory(cg, PAGE_SIZE, &over)) {
        out_of_memory(over);
        return NULL;
    }
    struct page *p = free_frames > KERNEL_RESERVE ? frame_alloc(0, flags) : NULL;
    if (p) {
        p->cgroup = cg;
        return p;
    }
    if (cg)
        cgroup_uncharge_memory(cg, PAGE_SIZE);
    out_of_memory(NULL);
    return NULL;
}

struct page *frame_alloc_run(unsigned order, struct cgroup *cg)
{
    u64 size = PAGE_SIZE << order;
    if (free_frames < total_frames / RUN_RESERVE + BIT(order) ||
        (cg && !cgroup_charge_memory(cg, size, NULL)))
        return NULL;
    struct page *run = frame_alloc(order, FRAME_ZERO);
    if (!run) {
        if (cg)
            cgroup_uncharge_memory(cg, size);
        return NULL;
    }
    for (struct page *p = run; p < run + BIT(order); p++) {
        p->refs = 1;
        p->order = 0;
        p->cgroup = cg;
    }
    return run;
}

bool page_charge(struct page *p, struct cgroup *cg)
{
    assert(!p->cgroup);
    if (cg && !cgroup_charge_memory(cg, PAGE_SIZE << p->order, NULL))
        return false;
    p->cgroup = cg;
    return true;
}

void page_free(struct page *p)
{
    unsigned order = p->order;
    if (p->cgroup) {
        cgroup_uncharge_memory(p->cgroup, PAGE_SIZE << order);
        p->cgroup = NULL;
    }
    free_frames += BIT(order);
    if (order > 0) {
        block_insert(p, order);
        return;
    }
    if (cached == CACHE_SIZE)
        cache_drain(CACHE_SIZE / 2);
    cache[cached++] = p;
}

void frame_release_range(paddr_t start, paddr_t end)
{
    u64 n = ALIGN_UP(start, PAGE_SIZE) >> PAGE_SHIFT, last = end >> PAGE_SHIFT;
    while (n < last) {
        unsigned order = 0;
        while (order < FRAME_MAX_ORDER && !(n & BIT(order)) && n + BIT(order + 1) <= last)
            order++;
        struct page *p = &frame_array[n], *end_page = p + BIT(order);
        assert(n + BIT(order) <= frame_array_size && !(p->flags & PAGE_RAM));
        while (p < end_page)
            (p++)->flags = PAGE_RAM;
        total_frames += BIT(order);
        free_frames += BIT(order);
        block_insert(&frame_array[n], order);
        n += BIT(order);
    }
}

// Shrinks [*start, *end) from its start until it begins with something free, and cuts *end to
// where that ends. Returns false if nothing is left.
static bool next_free_piece(paddr_t *start, paddr_t *end, const struct boot_range *used, unsigned n)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (unsigned i = 0; i < n; i++)
            if (used[i].start <= *start && *start < used[i].end) {
                *start = used[i].end;
                moved = true;
            }
    }
    for (unsigned i = 0; i < n; i++)
        if (used[i].start > *start && used[i].start < *end)
            *end = used[i].start;
    return *start < *end;
}

// What must not be handed out; the ranges are whole frames and may overlap.
static unsigned used_ranges(struct boot_range *used)
{
    unsigned n = 0;
    used[n++] = (struct boot_range){0, LOW_MEMORY_END};
    used[n++] = (struct boot_range){boot_info.kernel_start, boot_info.kernel_end};
    for (unsigned i = 0; i < boot_info.module_count; i++)
        used[n++] = (struct boot_range){boot_info.module[i].start, boot_info.module[i].end};
    for (unsigned i = 0; i < n; i++) {
        used[i].start = ALIGN_DOWN(used[i].start, PAGE_SIZE);
        used[i].end = ALIGN_UP(used[i].end, PAGE_SIZE);
    }
    return n;
}

// Finds room for the frame array: the first free piece of RAM that is large enough.
static paddr_t place_array(size_t size, const struct boot_range *used, unsigned n)
{
    for (unsigned r = 0; r < boot_info.ram_count; r++) {
        paddr_t start = boot_info.ram[r].start;
        while (start < boot_info.ram[r].end) {
            paddr_t end = boot_info.ram[r].end;
            if (!next_free_piece(&start, &end, used, n))
                break;
            if (end - start >= size)
                return start;
            start = end;
        }
    }
    panic("no room for the frame array (%zu KiB)\n", size / 1024);
}

void frame_init(void)
{
    struct boot_range used[BOOT_MAX_MODULES + 3];
    unsigned n = used_ranges(used);
    for (unsigned i = 0; i <= FRAME_MAX_ORDER; i++)
        list_init(&free_lists[i]);
    assert(boot_info.ram_count > 0);
    frame_array_size = boot_info.ram[boot_info.ram_count - 1].end >> PAGE_SHIFT;
    size_t size = ALIGN_UP(frame_array_size * sizeof(struct page), PAGE_SIZE);
    paddr_t array = place_array(size, used, n);
    frame_array = phys_to_virt(array);
    memset(frame_array, 0, size);
    used[n++] = (struct boot_range){array, array + size};
    for (unsigned r = 0; r < boot_info.ram_count; r++) {
        paddr_t start = boot_info.ram[r].start;
        while (start < boot_info.ram[r].end) {
            paddr_t end = boot_info.ram[r].end;
            if (!next_free_piece(&start, &end, used, n))
                break;
            frame_release_range(start, end);
            start = end;
        }
    }
    zeros = frame_alloc(0, FRAME_ZERO);
    assert(zeros);
}
