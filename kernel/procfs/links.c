// The links of /proc/PID: exe, cwd, root, fd/N, ns/KIND. They lead to the thing itself, whatever
// its name is or was.
#include "kernel/fs/anon_path.h"
#include "kernel/fs/dentry.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/slab.h"
#include "kernel/procfs/procfs.h"
#include "kernel/task/task.h"

static int copy_path(const struct path *p, struct path *out)
{
    *out = *p;
    path_get(out);
    return 0;
}

int proc_follow_exe(const struct proc_node *n, struct path *out)
{
    const struct file *exe = n->task->aspace ? n->task->aspace->exe : NULL;

    return exe && exe->path.dentry ? copy_path(&exe->path, out) : -ENOENT;
}

int proc_follow_cwd(const struct proc_node *n, struct path *out)
{
    return n->task->fs ? copy_path(&n->task->fs->cwd, out) : -ENOENT;
}

int proc_follow_root(const struct proc_node *n, struct path *out)
{
    return n->task->fs ? copy_path(&n->task->fs->root, out) : -ENOENT;
}

static long path_as_link(const struct path *p, char *buf, size_t size)
{
    char *page = kmalloc(PATH_MAX_K);

    if (!page)
        return -ENOMEM;
    char *text = path_text(p, &fs_current()->root, page, PATH_MAX_K);
    long len = IS_ERR(text) ? PTR_ERR(text) : (long)min(strlen(text), size);
    if (len > 0)
        memcpy(buf, text, len);
    kfree(page);
    return len;
}

long proc_readlink_path(const struct proc_node *n, char *buf, size_t size)
{
    struct path p;
    int err = n->entry->follow(n, &p);

    if (err)
        return err;
    long len = path_as_link(&p, buf, size);
    path_put(&p);
    return len;
}

static int fd_follow(const struct proc_node *n, struct path *out)
{
    struct file *f = fd_get_of(n->task, n->fd);
    int err = -ENXIO;

    if (!f)
        return -ENOENT;
    if (f->path.dentry)
        err = copy_path(&f->path, out);
    else if (f->inode)
        err = anon_path(f->inode, out);
    file_put(f);
    return err;
}

static long fd_readlink(const struct proc_node *n, char *buf, size_t size)
{
    struct file *f = fd_get_of(n->task, n->fd);
    long len;

    if (!f)
        return -ENOENT;
    if (f->path.dentry)
        len = path_as_link(&f->path, buf, size);
    else if (f->inode)
        len = snprintf(buf, size, "%s:[%lu]", S_ISSOCK(f->inode->mode) ? "socket" : "pipe",
                       f->inode->ino);
    else
        len = snprintf(buf, size, "anon_inode:%s", f->name ? f->name : "?");
    file_put(f);
    return min(len, (long)size);
}

static const struct proc_entry fd_entry = {.name = "",
                                           .mode = S_IFLNK | 0700,
                                           .readlink = fd_readlink,
                                           .follow = fd_follow,
                                           .guarded = true};

int proc_find_fd(const struct proc_node *dir, const char *name, size_t len, struct proc_node *child)
{
    long fd = proc_number(name, len);
    struct file *f = fd >= 0 ? fd_get_of(dir->task, fd) : NULL;

    if (!f)
        return -ENOENT;
    file_put(f);
    *child = proc_child(dir, &fd_entry);
    child->fd = fd;
    return 0;
}

bool proc_next_fd(const struct proc_node *dir, u64 *key, char *name, size_t size)
{
    int fd = fd_next(dir->task, *key);

    if (fd < 0)
        return false;
    *key = fd;
    snprintf(name, size, "%d", fd);
    return true;
}

static struct ns *ns_of(const struct proc_node *n)
{
    const char *name = n->entry->name;

    if (!n->task->nsset)
        return NULL;
    if (strcmp(name, "pid_for_children") == 0)
        return n->task->nsset->pid_for_children;
    for (int kind = 0; kind < NS_KINDS; kind++) {
        if (strcmp(name, ns_name(kind)) == 0)
            return n->task->nsset->ns[kind];
    }
    return NULL;
}

static int ns_follow(const struct proc_node *n, struct path *out)
{
    struct ns *ns = ns_of(n);

    return ns ? nsfs_path(ns, out) : -ENOENT;
}

static long ns_readlink(const struct proc_node *n, char *buf, size_t size)
{
    struct ns *ns = ns_of(n);

    return ns ? min((long)snprintf(buf, size, "%s:[%lu]", ns_name(ns->kind), ns->inum), (long)size)
              : -ENOENT;
}

#define NS_LINK(kind)                                                                              \
    {                                                                                              \
        .name = kind, .mode = S_IFLNK | 0777, .readlink = ns_readlink, .follow = ns_follow,        \
        .guarded = true                                                                            \
    }

const struct proc_entry proc_ns[] = {
    NS_LINK("cgroup"),           NS_LINK("ipc"),  NS_LINK("mnt"), NS_LINK("pid"),
    NS_LINK("pid_for_children"), NS_LINK("user"), NS_LINK("uts"), PROC_END,
};
