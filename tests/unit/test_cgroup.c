// with: container/cgroup/cgroup.c container/cgroup/cpu.c kernel/mm/frame.c kernel/mm/slab.c
// The cgroup tree: hierarchical charges, limits that leave nothing behind, CPU bandwidth.
#include <string.h>
#include "container/cgroup/cgroup.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "tests/unit/mm_host.h"

#define MS 1000000UL

static struct cgroup *make(struct cgroup *parent, const char *name)
{
    struct cgroup *cg = cgroup_create(parent, name);
    if (IS_ERR(cg))
        panic("cgroup_create: %ld", PTR_ERR(cg));
    return cg;
}

static void refused_charge_changes_no_counter(void)
{
    struct cgroup *a = make(&cgroup_root, "a"), *b = make(a, "b"), *over = NULL;
    a->memory.max = 1000;
    expect(cgroup_charge_memory(b, 600, &over), true);
    expect(cgroup_charge_memory(b, 401, &over), false);
    expect(over == a, 1);
    expect(b->memory.usage, 600);
    expect(a->memory.usage, 600);
    expect(cgroup_root.memory.usage, 600);
    expect(a->memory.events_max, 1);
    expect(b->memory.events_max, 0);
    expect(cgroup_charge_memory(b, 400, &over), true);
    expect(a->memory.peak, 1000);
    expect(cgroup_charge_memory(b, UINT64_MAX, &over), false);
    cgroup_uncharge_memory(b, 1000);
    expect(cgroup_root.memory.usage, 0);
    b->pids.max = 2;
    expect(cgroup_charge_pids(b, 2), 0);
    expect(cgroup_charge_pids(b, 1), -EAGAIN);
    expect(b->pids.events_max, 1);
    expect(a->pids.current, 2);
    cgroup_uncharge_pids(b, 2);
    expect(cgroup_remove(a), -EBUSY);
    expect(cgroup_remove(b), 0);
    expect(cgroup_remove(a), 0);
}

static void removed_cgroup_lives_until_its_last_charge(void)
{
    u64 used = slab_bytes_used();
    struct cgroup *a = make(&cgroup_root, "a"), *b = make(a, "b");
    expect(PTR_ERR(cgroup_create(a, "b")), -EEXIST);
    expect(cgroup_charge_memory(b, 4096, NULL), true);
    cgroup_get(b);
    expect(cgroup_remove(b), 0);
    expect(cgroup_find_child(a, "b") == NULL, 1);
    expect(PTR_ERR(cgroup_create(b, "c")), -ENODEV);
    expect(cgroup_remove(a), 0);
    cgroup_put(b);
    expect(cgroup_root.memory.usage, 4096);
    cgroup_uncharge_memory(b, 4096);
    expect(cgroup_root.memory.usage, 0);
    expect(slab_bytes_used(), used);
    expect(cgroup_root.refs, 1);
}

// Runs a hog of cg in ticks of 1 ms for `total_ms` and returns its share in tenths of a percent.
static u64 hog(struct cgroup *cg, u64 from_ms, u64 total_ms)
{
    u64 ran = 0;
    for (u64 t = from_ms; t < from_ms + total_ms; t++)
        if (cgroup_may_run(cg, t * MS)) {
            cgroup_charge_cpu(cg, (t + 1) * MS, MS, true);
            ran++;
        }
    return ran * 1000 / total_ms;
}

static void quota_bounds_the_share(void)
{
    struct cgroup *a = make(&cgroup_root, "a"), *b = make(a, "b");
    a->cpu.quota_ns = 25 * MS;
    a->cpu.period_ns = 100 * MS;
    u64 share = hog(b, 1000, 10000);
    expect(share >= 245 && share <= 255, 1);
    expect(a->cpu.nr_throttled >= 99 && a->cpu.nr_throttled <= 101, 1);
    expect(a->cpu.nr_periods >= 98 && a->cpu.nr_periods <= 101, 1);
    expect(a->cpu.usage_ns, b->cpu.usage_ns);
    b->cpu.quota_ns = 7 * MS + MS / 2; // a tick runs over; the debt is paid
    b->cpu.period_ns = 50 * MS;
    share = hog(b, 20000, 10000);
    expect(share >= 148 && share <= 152, 1);
    a->cpu.quota_ns = b->cpu.quota_ns = CGROUP_MAX;
    expect(hog(b, 40000, 1000), 1000);
    expect(cgroup_cpu_left(b, 50000 * MS), (long long)CGROUP_MAX);
    cgroup_remove(b);
    cgroup_remove(a);
}

static void throttling_names_its_end(void)
{
    struct cgroup *a = make(&cgroup_root, "a");
    a->cpu.quota_ns = 10 * MS;
    expect(cgroup_cpu_left(a, 205 * MS), 10 * MS);
    expect(cgroup_charge_cpu(a, 209 * MS, 4 * MS, false), false);
    expect(cgroup_cpu_left(a, 209 * MS), 6 * MS);
    expect(cgroup_throttled_until(a, 209 * MS), 0);
    expect(cgroup_charge_cpu(a, 215 * MS, 6 * MS, false), true);
    expect(cgroup_may_run(a, 215 * MS), false);
    expect(cgroup_throttled_until(a, 215 * MS), 300 * MS);
    expect(cgroup_may_run(a, 300 * MS), true);
    expect(a->cpu.throttled_ns, 85 * MS);
    expect(a->cpu.system_ns, 10 * MS);
    cgroup_remove(a);
}

static void freeze_is_inherited(void)
{
    struct cgroup *a = make(&cgroup_root, "a"), *b = make(a, "b");
    cgroup_set_freeze(b, true);
    cgroup_set_freeze(a, true);
    struct cgroup *c = make(b, "c");
    expect(cgroup_may_run(c, 0), false);
    cgroup_set_freeze(a, false);
    expect(cgroup_may_run(a, 0), true);
    expect(cgroup_may_run(c, 0), false);
    cgroup_set_freeze(b, false);
    expect(cgroup_may_run(c, 0), true);
    cgroup_remove(c);
    cgroup_remove(b);
    cgroup_remove(a);
}

static int changes;

static void count_change(struct cgroup *cg)
{
    changes++;
}

static void tasks_are_counted_up_the_tree(void)
{
    struct cgroup *a = make(&cgroup_root, "a"), *b = make(a, "b");
    a->changed = count_change;
    cgroup_count_task(b, 1);
    cgroup_count_task(b, 1);
    expect(changes, 1);
    expect(a->task_count, 0);
    expect(a->descendant_tasks, 2);
    expect(cgroup_remove(b), -EBUSY);
    cgroup_count_task(b, -2);
    expect(changes, 2);
    cgroup_count_oom_kill(b);
    expect(a->memory.events_oom_kill, 1);
    cgroup_remove(b);
    cgroup_remove(a);
}

static void paths_are_relative_to_a_root(void)
{
    char buf[64];
    struct cgroup *a = make(&cgroup_root, "a"), *b = make(a, "bb"), *c = make(&cgroup_root, "c");
    expect(cgroup_path(b, &cgroup_root, buf, sizeof(buf)), 5);
    expect(strcmp(buf, "/a/bb"), 0);
    cgroup_path(a, a, buf, sizeof(buf));
    expect(strcmp(buf, "/"), 0);
    cgroup_path(c, b, buf, sizeof(buf));
    expect(strcmp(buf, "/../../c"), 0);
    cgroup_path(a, b, buf, sizeof(buf));
    expect(strcmp(buf, "/.."), 0);
    expect(cgroup_path(b, &cgroup_root, buf, 5), -ENAMETOOLONG);
    expect(cgroup_path(b, &cgroup_root, buf, 6), 5);
    expect(cgroup_next(&cgroup_root, &cgroup_root) == a, 1);
    expect(cgroup_next(a, &cgroup_root) == b, 1);
    expect(cgroup_next(b, &cgroup_root) == c, 1);
    expect(cgroup_next(c, &cgroup_root) == NULL, 1);
    expect(cgroup_next(b, a) == NULL, 1);
    expect(cgroup_next(b, b) == NULL, 1);
    cgroup_remove(c);
    cgroup_remove(b);
    cgroup_remove(a);
}

static void weights_share_among_what_is_runnable(void)
{
    struct cgroup *a = make(&cgroup_root, "a"), *b = make(a, "b"), *c = make(a, "c");
    expect(cgroup_effective_weight(b), 1024);
    a->cpu.weight = 50;
    b->cpu.weight = 200;
    expect(cgroup_effective_weight(a), 512);
    expect(cgroup_effective_weight(b), 512);
    cgroup_count_runnable(b, 1);
    cgroup_count_runnable(c, 1);
    expect(cgroup_effective_weight(b), 512 * 2 / 3);
    expect(cgroup_effective_weight(c), 512 / 3);
    cgroup_count_runnable(b, 1);
    expect(cgroup_effective_weight(b), 512 * 2 / 3 / 2);
    cgroup_count_runnable(c, -1);
    expect(cgroup_effective_weight(b), 512 / 2);
    cgroup_count_runnable(b, -2);
    a->cpu.weight = 1;
    b->cpu.weight = 1;
    c->cpu.weight = 10000;
    cgroup_count_runnable(c, 1);
    expect(cgroup_effective_weight(b), 1);
    cgroup_count_runnable(c, -1);
    cgroup_remove(c);
    cgroup_remove(b);
    cgroup_remove(a);
}

int main(void)
{
    cgroup_init();
    host_machine();
    refused_charge_changes_no_counter();
    removed_cgroup_lives_until_its_last_charge();
    quota_bounds_the_share();
    throttling_names_its_end();
    freeze_is_inherited();
    tasks_are_counted_up_the_tree();
    paths_are_relative_to_a_root();
    weights_share_among_what_is_runnable();
    return failures != 0;
}
