// CPU time of cgroups: bandwidth (cpu.max) and weight (cpu.weight).
//
// A cgroup with a quota may use quota_ns in each period_ns; when that is used up it is throttled
// until the next period. What it ran over (a tick is coarse) is a debt that the next periods pay,
// so that the long-term share is exact. Periods begin on demand: nothing runs while nobody asks.
#include "container/cgroup/cgroup.h"

#define WEIGHT_UNIT 1024
#define WEIGHT_DEFAULT 100

static bool limited(const struct cgroup *cg)
{
    return cg->cpu.quota_ns != CGROUP_MAX;
}

static void unthrottle(struct cgroup *cg, u64 now_ns)
{
    if (!cg->cpu.throttled)
        return;
    cg->cpu.throttled = false;
    cg->cpu.throttled_ns += now_ns - cg->cpu.throttled_since_ns;
}

// Starts the period that `now_ns` lies in and pays debts for those that have passed.
static void refresh(struct cgroup *cg, u64 now_ns)
{
    if (!limited(cg)) {
        unthrottle(cg, now_ns);
        cg->cpu.used_in_period_ns = 0;
        return;
    }
    u64 period = cg->cpu.period_ns, quota = cg->cpu.quota_ns;
    if (now_ns < cg->cpu.period_start_ns + period)
        return;
    u64 passed = (now_ns - cg->cpu.period_start_ns) / period;
    u64 busy = quota ? (cg->cpu.used_in_period_ns + quota - 1) / quota : passed;
    busy = busy < passed ? busy : passed;
    u64 paid = busy * quota;
    cg->cpu.used_in_period_ns -=
        paid < cg->cpu.used_in_period_ns ? paid : cg->cpu.used_in_period_ns;
    cg->cpu.nr_periods += busy;
    cg->cpu.period_start_ns += passed * period;
    if (cg->cpu.used_in_period_ns < quota)
        unthrottle(cg, now_ns);
}

bool cgroup_charge_cpu(struct cgroup *cg, u64 now_ns, u64 delta_ns, bool user)
{
    bool throttled = false;
    for (struct cgroup *c = cg; c; c = c->parent) {
        c->cpu.usage_ns += delta_ns;
        if (user)
            c->cpu.user_ns += delta_ns;
        else
            c->cpu.system_ns += delta_ns;
        if (!limited(c))
            continue;
        refresh(c, now_ns);
        c->cpu.used_in_period_ns += delta_ns;
        if (c->cpu.used_in_period_ns >= c->cpu.quota_ns && !c->cpu.throttled) {
            c->cpu.throttled = true;
            c->cpu.throttled_since_ns = now_ns;
            c->cpu.nr_throttled++;
        }
        throttled |= c->cpu.throttled;
    }
    return throttled;
}

bool cgroup_may_run(struct cgroup *cg, u64 now_ns)
{
    if (cg->freeze.effective)
        return false;
    for (struct cgroup *c = cg; c; c = c->parent) {
        if (!c->cpu.throttled)
            continue;
        refresh(c, now_ns);
        if (c->cpu.throttled)
            return false;
    }
    return true;
}

u64 cgroup_throttled_until(struct cgroup *cg, u64 now_ns)
{
    u64 until = 0;
    for (struct cgroup *c = cg; c; c = c->parent) {
        if (!c->cpu.throttled)
            continue;
        refresh(c, now_ns);
        u64 end = c->cpu.period_start_ns + c->cpu.period_ns;
        if (c->cpu.throttled && end > until)
            until = end;
    }
    return until;
}

u64 cgroup_cpu_left(struct cgroup *cg, u64 now_ns)
{
    u64 left = CGROUP_MAX;
    for (struct cgroup *c = cg; c; c = c->parent) {
        if (!limited(c))
            continue;
        refresh(c, now_ns);
        u64 used = c->cpu.used_in_period_ns, quota = c->cpu.quota_ns;
        u64 here = used < quota ? quota - used : 0;
        left = here < left ? here : left;
    }
    return left;
}

void cgroup_count_runnable(struct cgroup *cg, int delta)
{
    cg->cpu.runnable += delta;
    for (struct cgroup *c = cg; c; c = c->parent)
        c->cpu.runnable_below += delta;
}

// The weights of all who share parent's time now: children with runnable tasks, and tasks of its
// own. Counts cg in any case.
static u64 competing_weight(struct cgroup *parent, struct cgroup *cg)
{
    u64 sum = cg->cpu.weight + (u64)parent->cpu.runnable * WEIGHT_DEFAULT;
    struct cgroup *c;

    list_for_each (c, &parent->children, sibling)
        if (c != cg && c->cpu.runnable_below)
            sum += c->cpu.weight;
    return sum;
}

u32 cgroup_effective_weight(struct cgroup *cg)
{
    u64 weight = WEIGHT_UNIT;
    for (struct cgroup *c = cg; c->parent; c = c->parent) {
        bool top = !c->parent->parent;
        weight = weight * c->cpu.weight / (top ? WEIGHT_DEFAULT : competing_weight(c->parent, c));
    }
    if (cg->parent && cg->cpu.runnable > 1)
        weight /= cg->cpu.runnable;
    return weight < 1 ? 1 : weight > UINT32_MAX ? UINT32_MAX : weight;
}
