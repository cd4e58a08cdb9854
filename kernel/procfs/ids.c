// /proc/PID/uid_map, gid_map and setgroups: the ids of a user namespace. user_namespaces(7).
#include "container/ns/ns.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/procfs/procfs.h"
#include "kernel/task/task.h"

static struct user_ns *user_ns_of(const struct proc_node *n)
{
    return n->task->cred->user_ns;
}

static struct id_map *map_of(struct user_ns *ns, bool gid)
{
    return gid ? &ns->gid_map : &ns->uid_map;
}

// The outside ids are shown as the reader's namespace has them; to a reader inside, as the parent
// has them.
static int show_map(struct seqtext *s, const struct proc_node *n, bool gid)
{
    struct user_ns *ns = user_ns_of(n), *reader = current()->cred->user_ns;
    const struct id_map *m = map_of(ns, gid);

    if (reader == ns && ns->parent)
        reader = ns->parent;
    if (m->count)
        seq_printf(s, "%10u %10u %10u\n", m->inside, map_id_out(reader, gid, m->outside), m->count);
    return 0;
}

static const char *parse_number(const char *at, u32 *value)
{
    u64 n = 0;

    while (*at == ' ' || *at == '\t')
        at++;
    if (*at < '0' || *at > '9')
        return NULL;
    while (*at >= '0' && *at <= '9') {
        n = n * 10 + (*at++ - '0');
        if (n > UINT32_MAX)
            return NULL;
    }
    *value = n;
    return at;
}

// Without CAP_SETUID or CAP_SETGID over the parent one may map one's own id only, and gids only
// once setgroups is denied.
static bool may_map(const struct user_ns *ns, bool gid, u32 outside, u32 count)
{
    const struct cred *c = current()->cred;

    if (ns_capable(ns->parent, gid ? CAP_SETGID : CAP_SETUID))
        return true;
    if (count != 1 || c->euid != ns->owner_uid)
        return false;
    return gid ? ns->setgroups_denied && outside == c->egid : outside == c->euid;
}

static int write_map(const struct proc_node *n, char *text, bool gid)
{
    struct user_ns *ns = user_ns_of(n);
    struct id_map m, *map = map_of(ns, gid);
    const char *at = parse_number(text, &m.inside);
    u32 outside;

    if (at)
        at = parse_number(at, &outside);
    if (at)
        at = parse_number(at, &m.count);
    while (at && (*at == ' ' || *at == '\t' || *at == '\n'))
        at++;
    if (!at || *at || m.count == 0 || m.inside + m.count < m.inside || outside + m.count < outside)
        return -EINVAL;
    if (!ns->parent || map->count || !ns_capable(ns, gid ? CAP_SETGID : CAP_SETUID))
        return -EPERM;
    m.outside = map_id_in(ns->parent, gid, outside);
    if (m.outside == (u32)-1 ||
        map_id_in(ns->parent, gid, outside + m.count - 1) != m.outside + m.count - 1)
        return -EPERM;
    if (!may_map(ns, gid, m.outside, m.count))
        return -EPERM;
    *map = m;
    return 0;
}

int proc_show_uid_map(struct seqtext *s, const struct proc_node *n)
{
    return show_map(s, n, false);
}

int proc_show_gid_map(struct seqtext *s, const struct proc_node *n)
{
    return show_map(s, n, true);
}

int proc_write_uid_map(const struct proc_node *n, char *text)
{
    return write_map(n, text, false);
}

int proc_write_gid_map(const struct proc_node *n, char *text)
{
    return write_map(n, text, true);
}

int proc_show_setgroups(struct seqtext *s, const struct proc_node *n)
{
    seq_puts(s, user_ns_of(n)->setgroups_denied ? "deny\n" : "allow\n");
    return 0;
}

// May be denied until gid_map is written, and never be allowed again.
int proc_write_setgroups(const struct proc_node *n, char *text)
{
    struct user_ns *ns = user_ns_of(n);

    if (!ns_capable(ns, CAP_SYS_ADMIN))
        return -EPERM;
    if (strcmp(text, "deny") == 0) {
        if (ns->gid_map.count)
            return -EPERM;
        ns->setgroups_denied = true;
        return 0;
    }
    if (strcmp(text, "allow") != 0)
        return -EINVAL;
    return ns->setgroups_denied ? -EPERM : 0;
}
