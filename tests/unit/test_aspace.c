// with: kernel/mm/frame.c kernel/mm/slab.c kernel/mm/pagetable.c kernel/mm/pagemap.c
// with: kernel/mm/vmobject.c kernel/mm/area.c kernel/mm/zap.c kernel/mm/aspace.c
// with: kernel/mm/mmap.c kernel/mm/remap.c kernel/mm/fault.c container/cgroup/cgroup.c
//
// Address spaces against a plain model: random maps, unmaps, forks, writes and truncations must
// leave every page with the value that the model says, and give every frame back at the end.
#include <linux/mman.h>
#include <string.h>
#include "container/cgroup/cgroup.h"
#include "kernel/lib/err.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/hooks.h"
#include "kernel/mm/pagetable.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/tlb.h"
#include "kernel/mm/vmobject.h"
#include "kernel/x86/trap.h"
#include "tests/unit/mm_host.h"

#define PAGES 64
#define BASE (0x40000000UL - PAGES / 2 * PAGE_SIZE) // across two level-1 tables
#define OBJECT_PAGES 80
#define SPACES 4
#define OBJECTS 2
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

const struct mm_task_ops *mm_task_ops;
static paddr_t kernel_table;

paddr_t kernel_pml4(void)
{
    return kernel_table;
}

u32 tlb_this_cpu(void)
{
    return 0;
}

void tlb_flush_page(vaddr_t va)
{
}

void tlb_load(paddr_t pml4)
{
}

void tlb_shootdown(u64 mask)
{
}

// What a page of an address space should be.
struct cell {
    bool mapped, shared, own; // own: has a private value
    u32 prot;
    int object; // -1: anonymous
    u32 index;  // in the object
    u64 value;
};

static struct aspace *space[SPACES];
static struct cell model[SPACES][PAGES];
static struct vmobject *object[OBJECTS];
static u64 object_value[OBJECTS][OBJECT_PAGES];
static u32 object_size[OBJECTS];
static struct cgroup *group;
static u64 next_value = 1;
static u32 seed = 1;

static u32 random_below(u32 n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static vaddr_t address(u32 page)
{
    return BASE + page * PAGE_SIZE;
}

// The error that an access to c should end with.
static int expected_error(const struct cell *c, bool write)
{
    if (!c->mapped || !(c->prot & (write ? PROT_WRITE : RW)))
        return -EFAULT;
    if (c->object >= 0 && !c->own && c->index >= object_size[c->object])
        return -ENXIO;
    return 0;
}

static u64 expected_value(const struct cell *c)
{
    return c->object >= 0 && !c->own ? object_value[c->object][c->index] : c->value;
}

static void check_page(int s, u32 page)
{
    struct cell *c = &model[s][page];
    bool writable;
    struct page *p = aspace_get_page(space[s], address(page), false, &writable);
    expect(IS_ERR(p) ? PTR_ERR(p) : 0, expected_error(c, false));
    if (IS_ERR(p))
        return;
    expect(*(u64 *)page_to_virt(p), expected_value(c));
    page_put(p);
}

static void write_page(int s, u32 page)
{
    struct cell *c = &model[s][page];
    u64 value = next_value++;
    size_t done = aspace_write(space[s], address(page), &value, sizeof(value));
    int error = expected_error(c, true);
    expect(done, error ? 0 : sizeof(value));
    if (error)
        return;
    if (c->shared && c->object >= 0) {
        object_value[c->object][c->index] = value;
        return;
    }
    c->own = true;
    c->value = value;
}

static void map_pages(int s, u32 first, u32 count)
{
    int o = (int)random_below(OBJECTS + 1) - 1;
    bool shared = o >= 0 && random_below(2);
    u32 prot = random_below(5) ? RW : PROT_READ, index = random_below(OBJECT_PAGES - PAGES);
    long at = aspace_map(space[s], address(first), count * PAGE_SIZE, prot,
                         (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED, o < 0 ? NULL : object[o],
                         index, NULL, NULL);
    expect(at, address(first));
    for (u32 i = 0; i < count; i++)
        model[s][first + i] = (struct cell){
            .mapped = true, .shared = shared, .prot = prot, .object = o, .index = index + i};
}

static void move_pages(int s, u32 first, u32 count)
{
    u32 to = random_below(PAGES - count + 1);
    if (to < first + count && first < to + count)
        return;
    struct area *a = aspace_find(space[s], address(first));
    bool one_area = a && a->end >= address(first + count);
    long at = aspace_remap(space[s], address(first), count * PAGE_SIZE, count * PAGE_SIZE,
                           MREMAP_MAYMOVE | MREMAP_FIXED, address(to));
    expect(at, one_area ? (long)address(to) : -EFAULT);
    for (u32 i = 0; one_area && i < count; i++) {
        model[s][to + i] = model[s][first + i];
        model[s][first + i] = (struct cell){0};
    }
}

static void fork_space(int s)
{
    int child = random_below(SPACES);
    if (child == s)
        return;
    if (space[child])
        aspace_put(space[child]);
    space[child] = aspace_fork(space[s], group);
    if (IS_ERR(space[child]))
        panic("fork: %ld", PTR_ERR(space[child]));
    memcpy(model[child], model[s], sizeof(model[s]));
}

static void truncate_object(int o)
{
    u32 size = random_below(OBJECT_PAGES + 1);
    u32 old = object_size[o];
    object_size[o] = size;
    for (u32 i = size; i < OBJECT_PAGES; i++)
        object_value[o][i] = 0;
    anon_object_resize(object[o], size);
    if (size >= old)
        return;
    aspace_unmap_object(object[o], size);
    for (int s = 0; s < SPACES; s++)
        for (u32 i = 0; i < PAGES; i++)
            if (model[s][i].mapped && model[s][i].object == o && model[s][i].index >= size)
                model[s][i].own = false;
}

static void unmap_pages(int s, u32 first, u32 count)
{
    expect(aspace_unmap(space[s], address(first), count * PAGE_SIZE), 0);
    memset(&model[s][first], 0, count * sizeof(model[s][0]));
}

static void protect_pages(int s, u32 first, u32 count)
{
    static const u32 prots[] = {PROT_NONE, PROT_READ, RW, RW, RW};
    u32 prot = prots[random_below(ARRAY_SIZE(prots))], i = 0;
    int err = aspace_protect(space[s], address(first), count * PAGE_SIZE, prot);
    for (; i < count && model[s][first + i].mapped; i++)
        model[s][first + i].prot = prot;
    expect(err, i == count ? 0 : -ENOMEM);
}

static void forget_pages(int s, u32 first, u32 count)
{
    aspace_advise(space[s], address(first), count * PAGE_SIZE, MADV_DONTNEED);
    for (u32 i = 0; i < count; i++) {
        model[s][first + i].own = false;
        model[s][first + i].value = 0;
    }
}

static void random_step(void)
{
    int s = random_below(SPACES);
    if (!space[s])
        return;
    u32 first = random_below(PAGES), count = 1 + random_below(min(PAGES - first, 12u));
    switch (random_below(20)) {
    case 0:
        unmap_pages(s, first, count);
        break;
    case 1:
    case 2:
        map_pages(s, first, count);
        break;
    case 3:
        protect_pages(s, first, count);
        break;
    case 4:
        forget_pages(s, first, count);
        break;
    case 5:
        fork_space(s);
        break;
    case 6:
        move_pages(s, first, count);
        break;
    case 7:
        if (random_below(8) == 0)
            truncate_object(random_below(OBJECTS));
        break;
    case 8 ... 13:
        write_page(s, first);
        break;
    default:
        check_page(s, first);
    }
}

static void random_changes_agree_with_the_model(void)
{
    u64 frames = frame_free_count(), bytes = slab_bytes_used();
    for (int o = 0; o < OBJECTS; o++) {
        object[o] = anon_object_create(OBJECT_PAGES);
        object_size[o] = OBJECT_PAGES;
    }
    space[0] = aspace_create(group);
    for (int i = 0; i < 200000 && failures < 10; i++) {
        random_step();
        if (i % 1000 == 0)
            for (int s = 0; s < SPACES; s++)
                for (u32 page = 0; space[s] && page < PAGES; page++)
                    check_page(s, page);
    }
    for (int s = 0; s < SPACES; s++)
        if (space[s])
            aspace_put(space[s]);
    for (int o = 0; o < OBJECTS; o++)
        vmobject_put(object[o]);
    expect(slab_bytes_used(), bytes);
    expect(group->memory.usage, 0);
    expect(frames - frame_free_count() <= 8, 1); // an empty slab a class
}

static void out_of_memory_leaves_nothing_behind(void)
{
    u64 bytes = slab_bytes_used();
    for (u64 limit = 0; limit < 20; limit++) {
        group->memory.max = limit * PAGE_SIZE;
        struct aspace *as = aspace_create(group);
        if (IS_ERR(as))
            continue;
        aspace_map(as, BASE, PAGES * PAGE_SIZE, RW, ANON | MAP_FIXED | MAP_POPULATE, NULL, 0, NULL,
                   NULL);
        struct aspace *child = aspace_fork(as, group);
        if (!IS_ERR(child)) {
            u64 v = 1;
            for (u32 i = 0; i < PAGES; i++)
                aspace_write(child, address(i), &v, sizeof(v));
            aspace_put(child);
        }
        aspace_remap(as, BASE, PAGES * PAGE_SIZE, 2 * PAGES * PAGE_SIZE, MREMAP_MAYMOVE, 0);
        expect(group->memory.usage <= group->memory.max, 1);
        aspace_put(as);
        expect(group->memory.usage, 0);
    }
    group->memory.max = CGROUP_MAX;
    expect(slab_bytes_used(), bytes);
}

static void stack_grows_to_its_limit(void)
{
    struct aspace *as = aspace_create(group);
    vaddr_t top = USER_END;
    as->stack_limit = 16 * PAGE_SIZE;
    aspace_map(as, top - PAGE_SIZE, PAGE_SIZE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, NULL, 0, NULL,
               "[stack]");
    expect(aspace_fault(as, top - 9 * PAGE_SIZE, PF_USER | PF_WRITE), 0);
    expect(aspace_virtual_size(as), 9 * PAGE_SIZE);
    expect(aspace_fault(as, top - 17 * PAGE_SIZE, PF_USER | PF_WRITE), -EFAULT);
    expect(aspace_fault(as, top - 16 * PAGE_SIZE, PF_USER), 0);
    aspace_put(as);
}

static void brk_moves_one_heap(void)
{
    struct aspace *as = aspace_create(group);
    as->brk_start = as->brk = 0x601234;
    expect(aspace_brk(as, 0), 0x601234);
    expect(aspace_brk(as, 0x605000), 0x605000);
    expect(aspace_brk(as, 0x609001), 0x609001);
    expect(as->area_count, 1);
    expect(aspace_virtual_size(as), 8 * PAGE_SIZE);
    expect(strcmp(aspace_find(as, 0x602000)->name, "[heap]"), 0);
    expect(aspace_fault(as, 0x609000, PF_USER | PF_WRITE), 0);
    expect(aspace_brk(as, 0x603000), 0x603000);
    expect(aspace_fault(as, 0x609000, PF_USER | PF_WRITE), -EFAULT);
    aspace_map(as, 0x610000, PAGE_SIZE, RW, ANON | MAP_FIXED, NULL, 0, NULL, NULL);
    expect(aspace_brk(as, 0x611000), 0x603000);
    aspace_put(as);
}

static void addresses_are_checked(void)
{
    struct aspace *as = aspace_create(group);
    expect(aspace_map(as, 0, 0, RW, ANON, NULL, 0, NULL, NULL), -EINVAL);
    expect(aspace_map(as, 0, UINT64_MAX - 5, RW, ANON, NULL, 0, NULL, NULL), -ENOMEM);
    expect(aspace_map(as, 0, USER_END, PROT_NONE, ANON, NULL, 0, NULL, NULL), -ENOMEM);
    expect(aspace_map(as, 0x1001, PAGE_SIZE, RW, ANON | MAP_FIXED, NULL, 0, NULL, NULL), -EINVAL);
    expect(aspace_map(as, 0, PAGE_SIZE, RW, ANON | MAP_FIXED, NULL, 0, NULL, NULL), -EPERM);
    expect(aspace_map(as, USER_END, PAGE_SIZE, RW, ANON | MAP_FIXED, NULL, 0, NULL, NULL), -ENOMEM);
    expect(aspace_map(as, 0, 1UL << 40, RW, ANON, NULL, 0, NULL, NULL), -ENOMEM);
    long big = aspace_map(as, 0, 1UL << 40, PROT_NONE, ANON, NULL, 0, NULL, NULL);
    expect(big > 0, 1);
    expect(aspace_map(as, big, PAGE_SIZE, RW, ANON | MAP_FIXED_NOREPLACE, NULL, 0, NULL, NULL),
           -EEXIST);
    long next = aspace_map(as, big, PAGE_SIZE, RW, ANON, NULL, 0, NULL, NULL);
    expect(next > 0 && next != big, 1);
    expect(aspace_unmap(as, big + 1, PAGE_SIZE), -EINVAL);
    expect(aspace_unmap(as, big, UINT64_MAX & PAGE_MASK), -EINVAL);
    expect(aspace_unmap(as, 0x7000000, PAGE_SIZE), 0);
    expect(aspace_fault(as, USER_END, PF_USER), -EFAULT);
    expect(aspace_fault(as, UINT64_MAX, PF_USER), -EFAULT);
    long text =
        aspace_map(as, 0, PAGE_SIZE, PROT_READ, ANON | AREA_DENY_WRITE, NULL, 0, NULL, NULL);
    expect(aspace_protect(as, text, PAGE_SIZE, RW), -EACCES);
    expect(aspace_fault(as, text, PF_USER | PF_FETCH), -EFAULT);
    expect(aspace_protect(as, text, PAGE_SIZE, PROT_READ | PROT_EXEC), 0);
    expect(aspace_fault(as, text, PF_USER | PF_FETCH), 0);
    aspace_put(as);
}

static void size_limit_is_kept(void)
{
    struct aspace *as = aspace_create(group);
    as->size_limit = 10 * PAGE_SIZE;
    long at = aspace_map(as, 0, 8 * PAGE_SIZE, RW, ANON, NULL, 0, NULL, NULL);
    expect(at > 0, 1);
    expect(aspace_map(as, 0, 3 * PAGE_SIZE, RW, ANON, NULL, 0, NULL, NULL), -ENOMEM);
    expect(aspace_remap(as, at, 8 * PAGE_SIZE, 11 * PAGE_SIZE, MREMAP_MAYMOVE, 0), -ENOMEM);
    expect(aspace_map(as, 0, 2 * PAGE_SIZE, RW, ANON, NULL, 0, NULL, NULL) > 0, 1);
    aspace_put(as);
}

static int invalidated, released;

static void count_invalidate(struct aspace_watcher *w, vaddr_t start, vaddr_t end)
{
    invalidated++;
}

static void count_release(struct aspace_watcher *w)
{
    released++;
}

static void watchers_hear_of_every_change(void)
{
    struct aspace *as = aspace_create(group);
    struct aspace_watcher w = {.invalidate = count_invalidate, .release = count_release};
    bool writable;
    aspace_watch(as, &w);
    aspace_map(as, BASE, PAGE_SIZE, RW, ANON | MAP_FIXED, NULL, 0, NULL, NULL);
    struct page *p = aspace_get_page(as, BASE, false, &writable);
    expect(writable, false);
    expect(p == zero_page(), 1);
    page_put(p);
    expect(invalidated, 0);
    p = aspace_get_page(as, BASE, true, &writable);
    expect(writable, true);
    expect(invalidated, 1);
    struct aspace *child = aspace_fork(as, group);
    expect(invalidated, 2);
    u64 v = 5;
    aspace_write(as, BASE, &v, sizeof(v));
    expect(invalidated, 3);
    expect(*(u64 *)page_to_virt(p), 0);
    page_put(p);
    aspace_put(child);
    aspace_put(as);
    expect(invalidated, 4);
    expect(released, 1);
}

static void sparse_objects_find_their_pages(void)
{
    static const u64 index[] = {
        0, 1, 63, 64, 4095, 4096, 1UL << 30, (1UL << 40) + 7, UINT64_MAX / 2};
    u64 bytes = slab_bytes_used();
    struct vmobject *obj = anon_object_create(UINT64_MAX);
    for (u32 i = 0; i < ARRAY_SIZE(index); i++) {
        struct page *p = obj->ops->get_page(obj, index[i], true, group);
        *(u64 *)page_to_virt(p) = i + 1;
        page_put(p);
    }
    for (u32 i = 0; i < ARRAY_SIZE(index); i++) {
        struct page *p = obj->ops->peek(obj, index[i]);
        expect(p != NULL, 1);
        expect(*(u64 *)page_to_virt(p), i + 1);
        page_put(p);
        expect(obj->ops->peek(obj, index[i] + 2) == NULL, 1);
    }
    expect(group->memory.usage, ARRAY_SIZE(index) * PAGE_SIZE);
    anon_object_resize(obj, 4096);
    expect(group->memory.usage, 5 * PAGE_SIZE);
    vmobject_put(obj);
    expect(group->memory.usage, 0);
    expect(slab_bytes_used(), bytes);
}

int main(void)
{
    cgroup_init();
    host_machine();
    kernel_table = page_to_phys(frame_alloc(0, FRAME_ZERO));
    group = cgroup_create(&cgroup_root, "test");
    sparse_objects_find_their_pages();
    random_changes_agree_with_the_model();
    out_of_memory_leaves_nothing_behind();
    stack_grows_to_its_limit();
    brk_moves_one_heap();
    addresses_are_checked();
    size_limit_is_kept();
    watchers_hear_of_every_change();
    expect(group->memory.usage, 0);
    return failures != 0;
}
