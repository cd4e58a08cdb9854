// /proc/PID/mounts and mountinfo: the mounts that the process can reach from its root.
#include "kernel/fs/mount.h"

#include "kernel/fs/dentry.h"
#include "kernel/fs/fdtable.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/procfs/procfs.h"
#include "kernel/task/task.h"

static void show_flags(struct seqtext *s, u32 flags)
{
    static const struct {
        u32 flag;
        const char *text;
    } names[] = {{MS_NOSUID, ",nosuid"},
                 {MS_NODEV, ",nodev"},
                 {MS_NOEXEC, ",noexec"},
                 {MS_NOATIME, ",noatime"}};

    seq_puts(s, flags & MS_RDONLY ? "ro" : "rw");
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (flags & names[i].flag)
            seq_puts(s, names[i].text);
    }
}

static void show_super_options(struct seqtext *s, struct super *super)
{
    char *options = super->type->show_options ? kzalloc(PATH_MAX_K) : NULL;

    if (!options)
        return;
    super->type->show_options(super, options, PATH_MAX_K);
    seq_puts(s, options);
    kfree(options);
}

// The mount's place as seen from the process's root; NULL if it is not below it.
static const char *place(const struct mount *m, const struct path *root, char *page)
{
    struct path at = {(struct mount *)m, m->root};
    const char *text = path_text(&at, root, page, PATH_MAX_K);

    return IS_ERR(text) || text[0] != '/' ? NULL : text;
}

static void show_mounts_line(struct seqtext *s, const struct mount *m, const char *at)
{
    seq_puts_escaped(s, m->source[0] ? m->source : "none");
    seq_puts(s, " ");
    seq_puts_escaped(s, at);
    seq_printf(s, " %s ", m->super->type->name);
    show_flags(s, m->flags | m->super->flags);
    show_super_options(s, m->super);
    seq_puts(s, " 0 0\n");
}

// The part of the file system that the mount shows, from the file system's own root.
static void show_fs_root(struct seqtext *s, const struct dentry *d)
{
    if (d->parent == d) {
        seq_puts(s, "/");
        return;
    }
    if (d->parent->parent != d->parent)
        show_fs_root(s, d->parent);
    seq_puts(s, "/");
    seq_puts_escaped(s, d->name);
}

static void show_mountinfo_line(struct seqtext *s, const struct mount *m, const char *at)
{
    u64 dev = m->super->dev;

    seq_printf(s, "%u %u %u:%u ", m->id, m->parent ? m->parent->id : m->id, dev_major(dev),
               dev_minor(dev));
    show_fs_root(s, m->root);
    seq_puts(s, " ");
    seq_puts_escaped(s, at);
    seq_puts(s, " ");
    show_flags(s, m->flags);
    seq_printf(s, " - %s ", m->super->type->name);
    seq_puts_escaped(s, m->source[0] ? m->source : "none");
    seq_puts(s, m->super->flags & MS_RDONLY ? " ro" : " rw");
    show_super_options(s, m->super);
    seq_puts(s, "\n");
}

static int show_all(struct seqtext *s, const struct proc_node *n,
                    void (*line)(struct seqtext *s, const struct mount *m, const char *at))
{
    struct mount *m;

    if (!n->task->fs || !n->task->nsset)
        return -EINVAL;
    char *page = kmalloc(PATH_MAX_K);
    if (!page)
        return -ENOMEM;
    struct mnt_ns *ns = container_of(n->task->nsset->ns[NS_MNT], struct mnt_ns, ns);
    list_for_each (m, &ns->mounts, link) {
        const char *at = place(m, &n->task->fs->root, page);
        if (at)
            line(s, m, at);
    }
    kfree(page);
    return 0;
}

int proc_show_mounts(struct seqtext *s, const struct proc_node *n)
{
    return show_all(s, n, show_mounts_line);
}

int proc_show_mountinfo(struct seqtext *s, const struct proc_node *n)
{
    return show_all(s, n, show_mountinfo_line);
}
