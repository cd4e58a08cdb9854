// /proc/PID and /proc/PID/task/TID: the table of their files, and the short ones.
#include "container/cgroup/cgroup.h"
#include "kernel/fs/fdtable.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/slab.h"
#include "kernel/procfs/procfs.h"
#include "kernel/task/task.h"

#define STRINGS_MAX (128 * 1024) // of an argument list that is shown

// The part [start, end) of the program's memory, as it is.
static int show_memory_range(struct seqtext *s, struct aspace *as, vaddr_t start, vaddr_t end)
{
    char buf[256];
    u64 left = min(end - start, (u64)STRINGS_MAX);

    while (left) {
        size_t n = aspace_read(as, start, buf, min(left, (u64)sizeof(buf)));
        if (n == 0)
            break;
        seq_write(s, buf, n);
        start += n;
        left -= n;
    }
    return 0;
}

static int show_cmdline(struct seqtext *s, const struct proc_node *n)
{
    struct aspace *as = n->task->aspace;

    return as ? show_memory_range(s, as, as->arg_start, as->arg_end) : 0;
}

static int show_environ(struct seqtext *s, const struct proc_node *n)
{
    struct aspace *as = n->task->aspace;

    return as ? show_memory_range(s, as, as->env_start, as->env_end) : 0;
}

static int show_comm(struct seqtext *s, const struct proc_node *n)
{
    seq_printf(s, "%s\n", n->task->comm);
    return 0;
}

static int write_comm(const struct proc_node *n, char *text)
{
    if (n->process != current()->process)
        return -EINVAL;
    strlcpy(n->task->comm, text, sizeof(n->task->comm));
    return 0;
}

static int show_cgroup(struct seqtext *s, const struct proc_node *n)
{
    struct cgroup_ns *ns = container_of(current()->nsset->ns[NS_CGROUP], struct cgroup_ns, ns);
    char path[512];

    if (!n->task->cgroup) {
        seq_puts(s, "0::/\n");
        return 0;
    }
    int len = cgroup_path(n->task->cgroup, ns->root, path, sizeof(path));
    if (len < 0)
        return len;
    seq_printf(s, "0::%s%s\n", path, n->task->cgroup->removed ? " (deleted)" : "");
    return 0;
}

static int show_oom_score_adj(struct seqtext *s, const struct proc_node *n)
{
    seq_printf(s, "%d\n", n->process->oom_score_adj);
    return 0;
}

static int write_oom_score_adj(const struct proc_node *n, char *text)
{
    bool negative = text[0] == '-';
    u64 value;
    int err = parse_u64(text + negative, false, &value);

    if (err || value > 1000)
        return -EINVAL;
    int adj = negative ? -(int)value : (int)value;
    if (adj < n->process->oom_score_adj && !capable(CAP_SYS_RESOURCE))
        return -EACCES;
    n->process->oom_score_adj = adj;
    return 0;
}

static void show_limit(struct seqtext *s, u64 value)
{
    if (value == RLIM64_INFINITY)
        seq_printf(s, "%-20s ", "unlimited");
    else
        seq_printf(s, "%-20lu ", value);
}

static int show_limits(struct seqtext *s, const struct proc_node *n)
{
    static const char *const name[RLIM_NLIMITS][2] = {
        [RLIMIT_CPU] = {"Max cpu time", "seconds"},
        [RLIMIT_FSIZE] = {"Max file size", "bytes"},
        [RLIMIT_DATA] = {"Max data size", "bytes"},
        [RLIMIT_STACK] = {"Max stack size", "bytes"},
        [RLIMIT_CORE] = {"Max core file size", "bytes"},
        [RLIMIT_RSS] = {"Max resident set", "bytes"},
        [RLIMIT_NPROC] = {"Max processes", "processes"},
        [RLIMIT_NOFILE] = {"Max open files", "files"},
        [RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
        [RLIMIT_AS] = {"Max address space", "bytes"},
        [RLIMIT_LOCKS] = {"Max file locks", "locks"},
        [RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
        [RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
        [RLIMIT_NICE] = {"Max nice priority", ""},
        [RLIMIT_RTPRIO] = {"Max realtime priority", ""},
        [RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
    };

    seq_printf(s, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        seq_printf(s, "%-25s ", name[i][0]);
        show_limit(s, n->process->rlimits[i].rlim_cur);
        show_limit(s, n->process->rlimits[i].rlim_max);
        seq_printf(s, "%-10s\n", name[i][1]);
    }
    return 0;
}

static int find_thread(const struct proc_node *dir, const char *name, size_t len,
                       struct proc_node *child)
{
    long nr = proc_number(name, len);
    struct pid *pid = nr > 0 ? pid_find(dir->ns, nr) : NULL;

    if (!pid || !pid->task || pid->task->process != dir->process)
        return -ENOENT;
    *child = proc_task_node(dir, &proc_pid_dir, dir->process, pid->task);
    return 0;
}

static bool next_thread(const struct proc_node *dir, u64 *key, char *name, size_t size)
{
    for (struct pid *pid; (pid = pid_next(dir->ns, *key)); ++*key) {
        *key = pid_nr(pid, dir->ns);
        if (!pid->task || pid->task->process != dir->process)
            continue;
        snprintf(name, size, "%lu", *key);
        return true;
    }
    return false;
}

static const struct proc_entry children[] = {
    {.name = "stat", .mode = S_IFREG | 0444, .show = proc_show_stat},
    {.name = "status", .mode = S_IFREG | 0444, .show = proc_show_status},
    {.name = "statm", .mode = S_IFREG | 0444, .show = proc_show_statm},
    {.name = "cmdline", .mode = S_IFREG | 0444, .show = show_cmdline},
    {.name = "comm", .mode = S_IFREG | 0644, .show = show_comm, .write = write_comm},
    {.name = "environ", .mode = S_IFREG | 0400, .show = show_environ, .guarded = true},
    {.name = "maps", .mode = S_IFREG | 0444, .show = proc_show_maps, .guarded = true},
    {.name = "mounts", .mode = S_IFREG | 0444, .show = proc_show_mounts},
    {.name = "mountinfo", .mode = S_IFREG | 0444, .show = proc_show_mountinfo},
    {.name = "cgroup", .mode = S_IFREG | 0444, .show = show_cgroup},
    {.name = "limits", .mode = S_IFREG | 0444, .show = show_limits},
    {.name = "oom_score_adj",
     .mode = S_IFREG | 0644,
     .show = show_oom_score_adj,
     .write = write_oom_score_adj},
    {.name = "uid_map",
     .mode = S_IFREG | 0644,
     .show = proc_show_uid_map,
     .write = proc_write_uid_map},
    {.name = "gid_map",
     .mode = S_IFREG | 0644,
     .show = proc_show_gid_map,
     .write = proc_write_gid_map},
    {.name = "setgroups",
     .mode = S_IFREG | 0644,
     .show = proc_show_setgroups,
     .write = proc_write_setgroups},
    {.name = "exe",
     .mode = S_IFLNK | 0777,
     .readlink = proc_readlink_path,
     .follow = proc_follow_exe,
     .guarded = true},
    {.name = "cwd",
     .mode = S_IFLNK | 0777,
     .readlink = proc_readlink_path,
     .follow = proc_follow_cwd,
     .guarded = true},
    {.name = "root",
     .mode = S_IFLNK | 0777,
     .readlink = proc_readlink_path,
     .follow = proc_follow_root,
     .guarded = true},
    {.name = "fd",
     .mode = S_IFDIR | 0500,
     .find = proc_find_fd,
     .next = proc_next_fd,
     .guarded = true},
    {.name = "ns", .mode = S_IFDIR | 0511, .children = proc_ns, .guarded = true},
    {.name = "task", .mode = S_IFDIR | 0555, .find = find_thread, .next = next_thread},
    PROC_END,
};

const struct proc_entry proc_pid_dir = {.name = "", .mode = S_IFDIR | 0555, .children = children};
