// The cgroup tree and its counters of memory and tasks. CPU time is in cpu.c beside it.
//
// Usage is hierarchical: a charge is added to a cgroup and to all its ancestors, and is refused
// where any of them would pass its limit, in which case nothing is added anywhere. A cgroup lives
// while it has references (its own place in the tree is one) or charges; a child refers to its
// parent, so the way up always exists. The kernel lock guards everything.
#include "container/cgroup/cgroup.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/x86/log.h"

#define CPU_DEFAULT_PERIOD_NS 100000000UL
#define CPU_DEFAULT_WEIGHT 100

struct cgroup cgroup_root;
static u64 next_id = 1;

static void set_defaults(struct cgroup *cg)
{
    list_init(&cg->children);
    list_init(&cg->sibling);
    list_init(&cg->tasks);
    cg->refs = 1;
    cg->id = next_id++;
    cg->memory.max = cg->memory.high = CGROUP_MAX;
    cg->pids.max = CGROUP_MAX;
    cg->cpu.quota_ns = CGROUP_MAX;
    cg->cpu.period_ns = CPU_DEFAULT_PERIOD_NS;
    cg->cpu.weight = CPU_DEFAULT_WEIGHT;
}

void cgroup_init(void)
{
    memset(&cgroup_root, 0, sizeof(cgroup_root));
    set_defaults(&cgroup_root);
    cgroup_root.subtree_control = CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS;
}

static void notify(struct cgroup *cg)
{
    if (cg->changed)
        cg->changed(cg);
}

struct cgroup *cgroup_create(struct cgroup *parent, const char *name)
{
    if (strlen(name) >= sizeof(parent->name))
        return ERR_PTR(-ENAMETOOLONG);
    if (parent->removed)
        return ERR_PTR(-ENODEV);
    if (cgroup_find_child(parent, name))
        return ERR_PTR(-EEXIST);
    struct cgroup *cg = kzalloc(sizeof(*cg));
    if (!cg)
        return ERR_PTR(-ENOMEM);
    set_defaults(cg);
    memcpy(cg->name, name, strlen(name) + 1);
    cg->parent = cgroup_get(parent);
    cg->freeze.effective = parent->freeze.effective;
    list_append(&parent->children, &cg->sibling);
    return cg;
}

// Frees cg, and ancestors for which it was the last reason to live.
static void free_if_unused(struct cgroup *cg)
{
    while (cg && cg->parent && cg->refs == 0 && cg->memory.usage == 0 && cg->pids.current == 0) {
        struct cgroup *parent = cg->parent;
        kfree(cg);
        parent->refs--;
        cg = parent;
    }
}

int cgroup_remove(struct cgroup *cg)
{
    if (!cg->parent || cg->descendant_tasks || !list_empty(&cg->children))
        return -EBUSY;
    if (cg->removed)
        return -ENODEV;
    cg->removed = true;
    list_remove(&cg->sibling);
    cgroup_put(cg);
    return 0;
}

struct cgroup *cgroup_get(struct cgroup *cg)
{
    cg->refs++;
    return cg;
}

void cgroup_put(struct cgroup *cg)
{
    assert(cg->refs > 0);
    cg->refs--;
    free_if_unused(cg);
}

struct cgroup *cgroup_find_child(struct cgroup *cg, const char *name)
{
    struct cgroup *child;
    list_for_each (child, &cg->children, sibling)
        if (strcmp(child->name, name) == 0)
            return child;
    return NULL;
}

bool cgroup_within(const struct cgroup *cg, const struct cgroup *ancestor)
{
    while (cg && cg != ancestor)
        cg = cg->parent;
    return cg != NULL;
}

bool cgroup_charge_memory(struct cgroup *cg, u64 bytes, struct cgroup **over)
{
    for (struct cgroup *c = cg; c; c = c->parent) {
        if (bytes > c->memory.max || c->memory.usage > c->memory.max - bytes) {
            if (over)
                *over = c;
            for (struct cgroup *undo = cg; undo != c; undo = undo->parent)
                undo->memory.usage -= bytes;
            for (struct cgroup *up = c; up; up = up->parent)
                up->memory.events_max++;
            notify(c);
            return false;
        }
        c->memory.usage += bytes;
    }
    for (struct cgroup *c = cg; c; c = c->parent) {
        if (c->memory.usage > c->memory.peak)
            c->memory.peak = c->memory.usage;
        if (c->memory.usage > c->memory.high && c->memory.usage - bytes <= c->memory.high)
            c->memory.events_high++;
    }
    return true;
}

void cgroup_uncharge_memory(struct cgroup *cg, u64 bytes)
{
    for (struct cgroup *c = cg; c; c = c->parent) {
        assert(c->memory.usage >= bytes);
        c->memory.usage -= bytes;
    }
    if (cg->refs == 0)
        free_if_unused(cg);
}

void cgroup_count_oom(struct cgroup *cg)
{
    for (struct cgroup *c = cg; c; c = c->parent) {
        c->memory.events_oom++;
        notify(c);
    }
}

void cgroup_count_oom_kill(struct cgroup *cg)
{
    for (struct cgroup *c = cg; c; c = c->parent) {
        c->memory.events_oom_kill++;
        notify(c);
    }
}

int cgroup_charge_pids(struct cgroup *cg, u64 n)
{
    for (struct cgroup *c = cg; c; c = c->parent) {
        if (n > c->pids.max || c->pids.current > c->pids.max - n) {
            for (struct cgroup *undo = cg; undo != c; undo = undo->parent)
                undo->pids.current -= n;
            for (struct cgroup *up = c; up; up = up->parent)
                up->pids.events_max++;
            notify(c);
            return -EAGAIN;
        }
        c->pids.current += n;
    }
    for (struct cgroup *c = cg; c; c = c->parent)
        if (c->pids.current > c->pids.peak)
            c->pids.peak = c->pids.current;
    return 0;
}

void cgroup_force_charge_pids(struct cgroup *cg, u64 n)
{
    for (struct cgroup *c = cg; c; c = c->parent) {
        c->pids.current += n;
        c->pids.peak = max(c->pids.peak, c->pids.current);
    }
}

void cgroup_uncharge_pids(struct cgroup *cg, u64 n)
{
    for (struct cgroup *c = cg; c; c = c->parent) {
        assert(c->pids.current >= n);
        c->pids.current -= n;
    }
    if (cg->refs == 0)
        free_if_unused(cg);
}

void cgroup_count_task(struct cgroup *cg, int delta)
{
    cg->task_count += delta;
    for (struct cgroup *c = cg; c; c = c->parent) {
        bool was = c->descendant_tasks > 0;
        c->descendant_tasks += delta;
        if (was != (c->descendant_tasks > 0))
            notify(c);
    }
}

void cgroup_set_freeze(struct cgroup *cg, bool freeze)
{
    cg->freeze.self = freeze;
    for (struct cgroup *c = cg; c; c = cgroup_next(c, cg)) {
        bool effective = c->freeze.self || (c->parent && c->parent->freeze.effective);
        if (effective == c->freeze.effective)
            continue;
        c->freeze.effective = effective;
        notify(c);
    }
}

void cgroup_notify_frozen(struct cgroup *cg)
{
    for (struct cgroup *c = cg; c && c->freeze.effective; c = c->parent)
        notify(c);
}

// Puts `text` in front of what is at buf[*at..]; false if there is no room.
static bool prepend(char *buf, size_t *at, const char *text)
{
    size_t n = strlen(text);
    if (n > *at)
        return false;
    *at -= n;
    memcpy(buf + *at, text, n);
    return true;
}

int cgroup_path(struct cgroup *cg, struct cgroup *root, char *buf, size_t size)
{
    if (size < 2)
        return -ENAMETOOLONG;
    size_t at = size - 1;
    buf[at] = '\0';
    struct cgroup *common = root;
    while (!cgroup_within(cg, common))
        common = common->parent;
    for (struct cgroup *c = cg; c != common; c = c->parent)
        if (!prepend(buf, &at, c->name) || !prepend(buf, &at, "/"))
            return -ENAMETOOLONG;
    for (struct cgroup *c = root; c != common; c = c->parent)
        if (!prepend(buf, &at, "/.."))
            return -ENAMETOOLONG;
    if (at == size - 1 && !prepend(buf, &at, "/"))
        return -ENAMETOOLONG;
    size_t len = size - 1 - at;
    memmove(buf, buf + at, len + 1);
    return len;
}

struct cgroup *cgroup_next(struct cgroup *pos, struct cgroup *top)
{
    if (!list_empty(&pos->children))
        return list_first(&pos->children, struct cgroup, sibling);
    while (pos != top) {
        if (pos->sibling.next != &pos->parent->children)
            return list_entry(pos->sibling.next, struct cgroup, sibling);
        pos = pos->parent;
    }
    return NULL;
}
