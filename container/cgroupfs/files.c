// What is in the files of a cgroup's directory. See files.h.
#include "container/cgroupfs/files.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/oom.h"
#include "kernel/task/pid.h"
#include "kernel/task/sched.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"

#define US 1000UL

static const struct {
    const char *name;
    u32 bit;
} controllers[] = {{"cpu", CGROUP_CPU}, {"memory", CGROUP_MEMORY}, {"pids", CGROUP_PIDS}};

u32 cgroup_available(const struct cgroup *cg)
{
    return cg->parent ? cg->parent->subtree_control : CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS;
}

bool cgroup_file_present(const struct cgroup_file *file, const struct cgroup *cg)
{
    return (!file->not_in_root || cg->parent) &&
           (!file->controller || (cgroup_available(cg) & file->controller));
}

struct cgroup *cgroup_ns_root(void)
{
    return container_of(current()->nsset->ns[NS_CGROUP], struct cgroup_ns, ns)->root;
}

// "max" or a number.
static void show_limit(struct seqtext *s, u64 value, const char *end)
{
    if (value == CGROUP_MAX)
        seq_printf(s, "max%s", end);
    else
        seq_printf(s, "%lu%s", value, end);
}

static int read_limit(const char *text, bool suffix, u64 *value)
{
    if (strcmp(text, "max") == 0) {
        *value = CGROUP_MAX;
        return 0;
    }
    return parse_u64(text, suffix, value);
}

// The next word of *at, cut off; NULL at the end.
static char *next_word(char **at)
{
    while (**at == ' ')
        ++*at;
    char *word = *at;
    while (**at && **at != ' ')
        ++*at;
    if (**at)
        *(*at)++ = '\0';
    return *word ? word : NULL;
}

static int show_tasks(struct seqtext *s, struct cgroup *cg, bool threads)
{
    struct pid_ns *ns = current_pid_ns();
    struct task *t;

    list_for_each (t, &cg->tasks, cgroup_link) {
        struct process *p = t->process;
        if (threads)
            seq_printf(s, "%d\n", pid_nr(t->pid, ns));
        else if (!list_empty(&p->threads) && list_first(&p->threads, struct task, thread_link) == t)
            seq_printf(s, "%d\n", pid_nr(p->pid, ns));
    }
    return 0;
}

static int show_procs(struct seqtext *s, struct cgroup *cg)
{
    return show_tasks(s, cg, false);
}

static int show_threads(struct seqtext *s, struct cgroup *cg)
{
    return show_tasks(s, cg, true);
}

static int write_procs(struct cgroup *cg, char *text)
{
    u64 pid;
    int err = parse_u64(text, false, &pid);

    if (err || pid > INT32_MAX)
        return err ? err : -EINVAL;
    struct process *p = pid ? process_find((int)pid) : current()->process;
    if (!p)
        return -ESRCH;
    if (p->leader->kernel_thread)
        return -EINVAL;
    if (cg->parent && cg->subtree_control)
        return -EBUSY; // processes live in leaves only
    if (p->leader->cgroup && !cgroup_within(p->leader->cgroup, cgroup_ns_root()))
        return -ENOENT;
    return process_move_cgroup(p, cg);
}

static void show_controllers_of(struct seqtext *s, u32 set)
{
    const char *space = "";

    for (u32 i = 0; i < ARRAY_SIZE(controllers); i++) {
        if (!(set & controllers[i].bit))
            continue;
        seq_printf(s, "%s%s", space, controllers[i].name);
        space = " ";
    }
    if (set)
        seq_puts(s, "\n");
}

static int show_controllers(struct seqtext *s, struct cgroup *cg)
{
    show_controllers_of(s, cgroup_available(cg));
    return 0;
}

static int show_subtree_control(struct seqtext *s, struct cgroup *cg)
{
    show_controllers_of(s, cg->subtree_control);
    return 0;
}

// A controller that is taken away takes its limits along.
static void reset_limits(struct cgroup *cg, u32 gone)
{
    if (gone & CGROUP_MEMORY)
        cg->memory.max = cg->memory.high = CGROUP_MAX;
    if (gone & CGROUP_PIDS)
        cg->pids.max = CGROUP_MAX;
    if (gone & CGROUP_CPU) {
        cg->cpu.quota_ns = CGROUP_MAX;
        cg->cpu.weight = 100;
    }
}

static int set_subtree_control(struct cgroup *cg, u32 on, u32 off)
{
    struct cgroup *child;
    u32 after = (cg->subtree_control | on) & ~off;

    if (on & ~cgroup_available(cg))
        return -ENOENT;
    if (cg->parent && cg->task_count && (on & ~cg->subtree_control))
        return -EBUSY;
    list_for_each (child, &cg->children, sibling)
        if (child->subtree_control & ~after)
            return -EBUSY;
    list_for_each (child, &cg->children, sibling)
        reset_limits(child, cg->subtree_control & ~after);
    cg->subtree_control = after;
    return 0;
}

// "+cpu -memory …"
static int write_subtree_control(struct cgroup *cg, char *text)
{
    u32 on = 0, off = 0;

    for (char *word; (word = next_word(&text));) {
        u32 i = 0;
        while (i < ARRAY_SIZE(controllers) && strcmp(word + 1, controllers[i].name) != 0)
            i++;
        if (i == ARRAY_SIZE(controllers) || (*word != '+' && *word != '-'))
            return -EINVAL;
        u32 *set = *word == '+' ? &on : &off, *other = *word == '+' ? &off : &on;
        *set |= controllers[i].bit;
        *other &= ~controllers[i].bit;
    }
    return set_subtree_control(cg, on, off);
}

static int show_events(struct seqtext *s, struct cgroup *cg)
{
    seq_printf(s, "populated %d\nfrozen %d\n", cg->descendant_tasks > 0,
               cg->freeze.effective && sched_cgroup_rests(cg));
    return 0;
}

static int show_type(struct seqtext *s, struct cgroup *cg)
{
    seq_puts(s, "domain\n");
    return 0;
}

static int show_stat(struct seqtext *s, struct cgroup *cg)
{
    u32 count = 0;

    for (struct cgroup *c = cgroup_next(cg, cg); c; c = cgroup_next(c, cg))
        count++;
    seq_printf(s, "nr_descendants %u\nnr_dying_descendants 0\n", count);
    return 0;
}

// Has the scheduler look anew at what is in the subtree.
static void tell_scheduler(struct cgroup *cg)
{
    struct task *t, *next;

    for (struct cgroup *c = cg; c; c = cgroup_next(c, cg)) {
        list_for_each_safe (t, next, &c->tasks, cgroup_link)
            sched_cgroup_changed(t);
    }
}

static int show_freeze(struct seqtext *s, struct cgroup *cg)
{
    seq_printf(s, "%d\n", cg->freeze.self);
    return 0;
}

static int write_freeze(struct cgroup *cg, char *text)
{
    u64 value;
    int err = parse_u64(text, false, &value);

    if (err || value > 1)
        return err ? err : -ERANGE;
    cgroup_set_freeze(cg, value);
    tell_scheduler(cg);
    return 0;
}

static int write_kill(struct cgroup *cg, char *text)
{
    u64 value;
    int err = parse_u64(text, false, &value);

    if (err || value != 1)
        return err ? err : -ERANGE;
    cgroup_kill_tasks(cg);
    return 0;
}

static int show_cpu_stat(struct seqtext *s, struct cgroup *cg)
{
    u64 throttled = cg->cpu.throttled_ns;

    sched_account_now();
    if (cg->cpu.throttled)
        throttled += clock_ns() - cg->cpu.throttled_since_ns;
    seq_printf(s, "usage_usec %lu\nuser_usec %lu\nsystem_usec %lu\n", cg->cpu.usage_ns / US,
               cg->cpu.user_ns / US, cg->cpu.system_ns / US);
    if (cg->parent && (cgroup_available(cg) & CGROUP_CPU))
        seq_printf(s, "nr_periods %lu\nnr_throttled %lu\nthrottled_usec %lu\n", cg->cpu.nr_periods,
                   cg->cpu.nr_throttled, throttled / US);
    return 0;
}

static int show_cpu_max(struct seqtext *s, struct cgroup *cg)
{
    u64 quota = cg->cpu.quota_ns;

    show_limit(s, quota == CGROUP_MAX ? quota : quota / US, " ");
    seq_printf(s, "%lu\n", cg->cpu.period_ns / US);
    return 0;
}

// "QUOTA [PERIOD]" in microseconds.
static int write_cpu_max(struct cgroup *cg, char *text)
{
    char *first = next_word(&text), *second = next_word(&text);
    u64 quota, period = cg->cpu.period_ns / US;
    int err = first ? read_limit(first, false, &quota) : -EINVAL;

    if (!err && second)
        err = parse_u64(second, false, &period);
    if (err)
        return err;
    if (period < 1000 || period > 1000000 || quota < 1000 || next_word(&text) ||
        (quota != CGROUP_MAX && quota > UINT64_MAX / 2 / US))
        return -EINVAL;
    cg->cpu.quota_ns = quota == CGROUP_MAX ? quota : quota * US;
    cg->cpu.period_ns = period * US;
    tell_scheduler(cg);
    return 0;
}

static int show_cpu_weight(struct seqtext *s, struct cgroup *cg)
{
    seq_printf(s, "%u\n", cg->cpu.weight);
    return 0;
}

static int write_cpu_weight(struct cgroup *cg, char *text)
{
    u64 weight;
    int err = parse_u64(text, false, &weight);

    if (err || weight < 1 || weight > 10000)
        return err ? err : -ERANGE;
    cg->cpu.weight = weight;
    tell_scheduler(cg);
    return 0;
}

static int show_memory_current(struct seqtext *s, struct cgroup *cg)
{
    seq_printf(s, "%lu\n", cg->memory.usage);
    return 0;
}

static int show_memory_peak(struct seqtext *s, struct cgroup *cg)
{
    seq_printf(s, "%lu\n", cg->memory.peak);
    return 0;
}

static int show_memory_max(struct seqtext *s, struct cgroup *cg)
{
    show_limit(s, cg->memory.max, "\n");
    return 0;
}

static int show_memory_high(struct seqtext *s, struct cgroup *cg)
{
    show_limit(s, cg->memory.high, "\n");
    return 0;
}

// Bytes, rounded down to pages.
static int read_bytes(const char *text, u64 *bytes)
{
    int err = read_limit(text, true, bytes);

    if (!err && *bytes != CGROUP_MAX)
        *bytes &= ~(u64)(PAGE_SIZE - 1);
    return err;
}

// There is nothing to reclaim, so who is above a new limit is killed at once.
static int write_memory_max(struct cgroup *cg, char *text)
{
    int err = read_bytes(text, &cg->memory.max);

    if (!err && cg->memory.usage > cg->memory.max && oom_kill_hook) {
        cgroup_count_oom(cg);
        oom_kill_hook(cg);
    }
    return err;
}

static int write_memory_high(struct cgroup *cg, char *text)
{
    return read_bytes(text, &cg->memory.high);
}

static int show_memory_events(struct seqtext *s, struct cgroup *cg)
{
    seq_printf(s, "low 0\nhigh %lu\nmax %lu\noom %lu\noom_kill %lu\n", cg->memory.events_high,
               cg->memory.events_max, cg->memory.events_oom, cg->memory.events_oom_kill);
    return 0;
}

static int show_pids_current(struct seqtext *s, struct cgroup *cg)
{
    seq_printf(s, "%lu\n", cg->pids.current);
    return 0;
}

static int show_pids_peak(struct seqtext *s, struct cgroup *cg)
{
    seq_printf(s, "%lu\n", cg->pids.peak);
    return 0;
}

static int show_pids_max(struct seqtext *s, struct cgroup *cg)
{
    show_limit(s, cg->pids.max, "\n");
    return 0;
}

static int write_pids_max(struct cgroup *cg, char *text)
{
    return read_limit(text, false, &cg->pids.max);
}

static int show_pids_events(struct seqtext *s, struct cgroup *cg)
{
    seq_printf(s, "max %lu\n", cg->pids.events_max);
    return 0;
}

const struct cgroup_file cgroup_files[] = {
    {"cgroup.procs", 0, false, true, show_procs, write_procs},
    {"cgroup.threads", 0, false, true, show_threads, NULL},
    {"cgroup.controllers", 0, false, false, show_controllers, NULL},
    {"cgroup.subtree_control", 0, false, true, show_subtree_control, write_subtree_control},
    {"cgroup.stat", 0, false, false, show_stat, NULL},
    {"cgroup.events", 0, true, false, show_events, NULL},
    {"cgroup.type", 0, true, false, show_type, NULL},
    {"cgroup.freeze", 0, true, false, show_freeze, write_freeze},
    {"cgroup.kill", 0, true, false, NULL, write_kill},
    {"cpu.stat", 0, false, false, show_cpu_stat, NULL},
    {"cpu.max", CGROUP_CPU, true, false, show_cpu_max, write_cpu_max},
    {"cpu.weight", CGROUP_CPU, true, false, show_cpu_weight, write_cpu_weight},
    {"memory.current", CGROUP_MEMORY, true, false, show_memory_current, NULL},
    {"memory.peak", CGROUP_MEMORY, true, false, show_memory_peak, NULL},
    {"memory.max", CGROUP_MEMORY, true, false, show_memory_max, write_memory_max},
    {"memory.high", CGROUP_MEMORY, true, false, show_memory_high, write_memory_high},
    {"memory.events", CGROUP_MEMORY, true, false, show_memory_events, NULL},
    {"pids.current", CGROUP_PIDS, true, false, show_pids_current, NULL},
    {"pids.peak", CGROUP_PIDS, true, false, show_pids_peak, NULL},
    {"pids.max", CGROUP_PIDS, true, false, show_pids_max, write_pids_max},
    {"pids.events", CGROUP_PIDS, true, false, show_pids_events, NULL},
    {NULL, 0, false, false, NULL, NULL},
};
