// The cgroup tree: counters with limits, charged and uncharged up the tree. Knows nothing of pages,
// tasks or files: mm charges memory to it, task charges tasks and CPU time, cgroupfs shows it.
// Compiled on the host for unit tests.
//
// Everything here is called with the kernel lock held and never sleeps. A limit of CGROUP_MAX means
// "max".
#pragma once
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

#define CGROUP_MAX UINT64_MAX
#define CGROUP_CPU 1u
#define CGROUP_MEMORY 2u
#define CGROUP_PIDS 4u

struct cgroup {
    struct cgroup *parent;
    struct list children, sibling;
    char name[64];
    u32 refs; // tasks, open files, children, and one until it is removed; charges keep it alive too
    u32 task_count;       // processes' threads that are directly in it
    u32 descendant_tasks; // and in all of its subtree: cgroup.events "populated"
    u32 subtree_control;  // controllers enabled for the children (CGROUP_*)
    bool removed;
    struct list
        tasks; // the threads in it, linked and owned by kernel/task (struct task.cgroup_link)
    u64 id;

    struct {
        u64 usage, max, high, peak;
        u64 events_max, events_oom, events_oom_kill, events_high;
    } memory;
    struct {
        u64 current, max, peak;
        u64 events_max;
    } pids;
    struct {
        u64 usage_ns, user_ns, system_ns;
        u64 quota_ns, period_ns; // quota CGROUP_MAX: no bandwidth limit
        u64 period_start_ns, used_in_period_ns;
        u64 nr_periods, nr_throttled, throttled_ns, throttled_since_ns;
        bool throttled;
        u32 weight;         // 1..10000, default 100
        u32 runnable;       // its own tasks that run or wait for a CPU
        u32 runnable_below; // and those of its subtree
    } cpu;
    struct {
        bool self;      // cgroup.freeze was written here
        bool effective; // here or above
    } freeze;
    void (*changed)(struct cgroup *cg); // cgroupfs: an event counter or "populated"/"frozen"
                                        // changed; may be NULL
};

extern struct cgroup cgroup_root;

void cgroup_init(void);
// A child of `parent`, or ERR_PTR: -EEXIST, -ENAMETOOLONG, -ENOMEM, -ENODEV once `parent` is
// removed.
struct cgroup *cgroup_create(struct cgroup *parent, const char *name);
// -EBUSY while it has tasks or children. It stays in memory, outside the tree, until its last
// charge and reference are gone.
int cgroup_remove(struct cgroup *cg);
struct cgroup *cgroup_get(struct cgroup *cg);
void cgroup_put(struct cgroup *cg);
struct cgroup *cgroup_find_child(struct cgroup *cg, const char *name);
// True if `cg` is `ancestor` or below it.
bool cgroup_within(const struct cgroup *cg, const struct cgroup *ancestor);

// Charges bytes to cg and all its ancestors, or to none. Where a limit would be passed: returns
// false, counts memory.events max there and, through *over, names the cgroup whose limit it was
// (the caller kills inside it).
bool cgroup_charge_memory(struct cgroup *cg, u64 bytes, struct cgroup **over);
void cgroup_uncharge_memory(struct cgroup *cg, u64 bytes);
// Count events up the tree, as memory.events does: `cg` is out of memory; a process of `cg` was
// killed for it.
void cgroup_count_oom(struct cgroup *cg);
void cgroup_count_oom_kill(struct cgroup *cg);
// Charges n tasks up the tree, or none: -EAGAIN and pids.events max counted.
int cgroup_charge_pids(struct cgroup *cg, u64 n);
// As cgroup_charge_pids, past any limit: for moving tasks, which cgroup v2 never refuses.
void cgroup_force_charge_pids(struct cgroup *cg, u64 n);
void cgroup_uncharge_pids(struct cgroup *cg, u64 n);
// Adds CPU time up the tree. Returns true if cg or an ancestor is now throttled (quota used up in
// its period).
bool cgroup_charge_cpu(struct cgroup *cg, u64 now_ns, u64 delta_ns, bool user);
// True if a task of cg may run now: neither throttled nor frozen up the tree. Starts new periods as
// `now_ns` asks.
bool cgroup_may_run(struct cgroup *cg, u64 now_ns);
// Until when cg is throttled at least (the end of the running period that throttles it), 0 if it is
// not.
u64 cgroup_throttled_until(struct cgroup *cg, u64 now_ns);
// How long a task of cg may run from now until a quota is used up; CGROUP_MAX if no limit.
u64 cgroup_cpu_left(struct cgroup *cg, u64 now_ns);
// A task of cg began (+1) or ceased (-1) to run or wait for a CPU.
void cgroup_count_runnable(struct cgroup *cg, int delta);
// The weight of each runnable task of cg against all others; 1024 is that of a task of the root. A
// child of the root weighs as its cpu.weight says, deeper ones share their parent's weight with
// what is runnable beside them, and so do tasks in their cgroup.
u32 cgroup_effective_weight(struct cgroup *cg);
// Marks the thread count of cg and up; attach before detach when moving.
void cgroup_count_task(struct cgroup *cg, int delta);
void cgroup_set_freeze(struct cgroup *cg, bool freeze);
// Tells those who poll cgroup.events of cg, and of what is above it, where these are frozen.
void cgroup_notify_frozen(struct cgroup *cg);
// Writes "/a/b" for cg relative to `root` ("/" if they are the same; "/.." parts if cg is outside
// root). Returns length or -ENAMETOOLONG.
int cgroup_path(struct cgroup *cg, struct cgroup *root, char *buf, size_t size);
// Next cgroup of the subtree of `top` in pre-order, NULL at the end.
struct cgroup *cgroup_next(struct cgroup *pos, struct cgroup *top);
