// The instances of procfs, its inodes and directories. See procfs.h.
#include "kernel/procfs/procfs.h"

#include <linux/magic.h>

#include "kernel/fs/dentry.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/task/task.h"

#define TEXT_MAX 4096 // longest text that a file takes in one write
#define DYNAMIC 1024  // directory positions of entries that come and go start here
#define ROOT_INO 1

static const struct proc_entry root_entry;

static void node_get(struct proc_node *n)
{
    if (n->process)
        process_get(n->process);
    if (n->task)
        task_get(n->task);
}

static void node_put(struct proc_node *n)
{
    if (n->task)
        task_put(n->task);
    if (n->process)
        process_put(n->process);
}

struct proc_node proc_child(const struct proc_node *dir, const struct proc_entry *entry)
{
    struct proc_node n = *dir;

    n.entry = entry;
    node_get(&n);
    return n;
}

struct proc_node proc_task_node(const struct proc_node *dir, const struct proc_entry *entry,
                                struct process *p, struct task *t)
{
    struct proc_node n = {
        .entry = entry, .ns = dir->ns, .process = p, .task = t, .serial = pid_nr(t->pid, dir->ns)};

    node_get(&n);
    return n;
}

long proc_number(const char *name, size_t len)
{
    long n = 0;

    if (len == 0 || len > 9 || (name[0] == '0' && len > 1))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        n = n * 10 + (name[i] - '0');
    }
    return n;
}

bool proc_may_inspect(const struct process *p)
{
    const struct cred *mine = current()->cred, *theirs = p->leader->cred;

    if (p == current()->process)
        return true;
    bool same = mine->fsuid == theirs->uid && mine->fsuid == theirs->euid &&
                mine->fsuid == theirs->suid && mine->fsgid == theirs->gid &&
                mine->fsgid == theirs->egid && mine->fsgid == theirs->sgid;
    bool contained =
        mine->user_ns == theirs->user_ns && !(theirs->cap_permitted & ~mine->cap_permitted);
    return (same && contained && p->dumpable) || ns_capable(theirs->user_ns, CAP_SYS_PTRACE);
}

// A process that was reaped is no longer in its namespace.
static bool alive(const struct proc_node *n)
{
    return !n->process || (n->task->pid && n->task->pid->task == n->task) ||
           (n->process->pid->process == n->process && n->task == n->process->leader);
}

static const struct inode_ops dir_ops, file_inode_ops, link_ops, magic_ops;
static const struct file_ops dir_fops, file_fops;

static struct inode *node_inode(struct super *s, struct proc_node *n)
{
    struct inode *inode = inode_new(s, n->entry->mode);
    struct proc_node *own = kmalloc(sizeof(*own));

    if (!inode || !own) {
        kfree(own);
        if (inode)
            inode_put(inode);
        node_put(n);
        return ERR_PTR(-ENOMEM);
    }
    *own = *n;
    inode->private = own;
    inode->ino = n->entry == &root_entry
                     ? ROOT_INO
                     : n->serial << 20 | ((u64)n->entry >> 3 & 0x7fff) << 4 | (n->fd & 15);
    inode->uid = inode->gid = 0;
    if (n->process) {
        inode->uid = n->task->cred->euid;
        inode->gid = n->task->cred->egid;
    }
    inode->nlink = S_ISDIR(inode->mode) ? 2 : 1;
    inode->fops = S_ISDIR(inode->mode) ? &dir_fops : &file_fops;
    inode->ops = S_ISDIR(inode->mode)   ? &dir_ops
                 : n->entry->follow     ? &magic_ops
                 : S_ISLNK(inode->mode) ? &link_ops
                                        : &file_inode_ops;
    return inode;
}

static const struct proc_entry *find_fixed(const struct proc_entry *e, const char *name, size_t len)
{
    for (; e && e->name; e++) {
        if (strlen(e->name) == len && memcmp(e->name, name, len) == 0)
            return e;
    }
    return NULL;
}

static struct inode *lookup(struct inode *dir, const char *name, size_t len)
{
    const struct proc_node *n = dir->private;
    struct proc_node child;
    const struct proc_entry *e = find_fixed(n->entry->children, name, len);

    if (!alive(n))
        return NULL;
    if (n->entry->guarded && !proc_may_inspect(n->process))
        return ERR_PTR(-EACCES);
    if (e)
        child = proc_child(n, e);
    else if (!n->entry->find || n->entry->find(n, name, len, &child))
        return NULL;
    return node_inode(dir->super, &child);
}

static bool emit_fixed(const struct proc_entry *e, u64 *pos, dir_emit emit, void *ctx)
{
    for (u64 i = 2; e && e->name; e++, i++) {
        if (i < *pos)
            continue;
        u8 type = S_ISDIR(e->mode) ? 4 : S_ISLNK(e->mode) ? 10 : 8; // DT_DIR, DT_LNK, DT_REG
        if (!emit(ctx, e->name, strlen(e->name), i, type, i + 1))
            return false;
        *pos = i + 1;
    }
    return true;
}

static int iterate(struct file *f, u64 *pos, dir_emit emit, void *ctx)
{
    const struct proc_node *n = f->inode->private;
    char name[32];

    if (!alive(n))
        return -ENOENT;
    if (n->entry->guarded && !proc_may_inspect(n->process))
        return -EACCES;
    if (!dentry_iterate_dots(f, pos, emit, ctx))
        return 0;
    if (*pos < DYNAMIC && !emit_fixed(n->entry->children, pos, emit, ctx))
        return 0;
    u64 key = *pos < DYNAMIC ? 0 : *pos - DYNAMIC;
    for (*pos = DYNAMIC + key; n->entry->next && n->entry->next(n, &key, name, sizeof(name));
         key++) {
        if (!emit(ctx, name, strlen(name), DYNAMIC + key, 0, DYNAMIC + key + 1))
            break;
        *pos = DYNAMIC + key + 1;
    }
    return 0;
}

static int show(struct seqtext *s, void *arg)
{
    const struct proc_node *n = arg;

    if (!alive(n))
        return -ESRCH;
    if (n->entry->guarded && !proc_may_inspect(n->process))
        return -EACCES;
    return n->entry->show ? n->entry->show(s, n) : -EINVAL;
}

static long file_read_op(struct file *f, struct uio *u, u64 *pos)
{
    return seq_read(f, u, pos, show, f->inode->private);
}

static long file_write_op(struct file *f, struct uio *u, u64 *pos)
{
    const struct proc_node *n = f->inode->private;

    if (!n->entry->write)
        return -EIO;
    if (!alive(n))
        return -ESRCH;
    char *text = kmalloc(TEXT_MAX);
    if (!text)
        return -ENOMEM;
    long len = seq_written(u, text, TEXT_MAX);
    int err = len < 0 ? (int)len : n->entry->write(n, text);
    kfree(text);
    return err ? err : len;
}

static int truncate(struct inode *inode, u64 size)
{
    return 0; // "echo x > FILE" opens with O_TRUNC
}

static long readlink(struct inode *inode, char *buf, size_t size)
{
    const struct proc_node *n = inode->private;

    if (!alive(n))
        return -ENOENT;
    if (n->entry->guarded && !proc_may_inspect(n->process))
        return -EACCES;
    return n->entry->readlink(n, buf, size);
}

static int follow(struct inode *inode, struct path *out)
{
    const struct proc_node *n = inode->private;

    if (!alive(n))
        return -ENOENT;
    if (n->entry->guarded && !proc_may_inspect(n->process))
        return -EACCES;
    return n->entry->follow(n, out);
}

static bool revalidate(struct inode *inode)
{
    return alive(inode->private);
}

static void evict(struct inode *inode)
{
    node_put(inode->private);
    kfree(inode->private);
}

static const struct inode_ops dir_ops = {
    .lookup = lookup, .revalidate = revalidate, .evict = evict};
static const struct inode_ops file_inode_ops = {
    .truncate = truncate, .revalidate = revalidate, .evict = evict};
static const struct inode_ops link_ops = {
    .readlink = readlink, .revalidate = revalidate, .evict = evict};
static const struct inode_ops magic_ops = {
    .readlink = readlink, .follow = follow, .revalidate = revalidate, .evict = evict};
static const struct file_ops dir_fops = {.iterate = iterate};
static const struct file_ops file_fops = {
    .read = file_read_op, .write = file_write_op, .release = seq_release};

static int find_process(const struct proc_node *dir, const char *name, size_t len,
                        struct proc_node *child)
{
    long nr = proc_number(name, len);
    struct pid *pid = nr > 0 ? pid_find(dir->ns, nr) : NULL;

    if (!pid || !pid->process)
        return -ENOENT;
    *child = proc_task_node(dir, &proc_pid_dir, pid->process, pid->process->leader);
    return 0;
}

static bool next_process(const struct proc_node *dir, u64 *key, char *name, size_t size)
{
    for (struct pid *pid; (pid = pid_next(dir->ns, *key)); ++*key) {
        *key = pid_nr(pid, dir->ns);
        if (!pid->process)
            continue;
        snprintf(name, size, "%lu", *key);
        return true;
    }
    return false;
}

static const struct proc_entry root_entry = {.name = "/",
                                             .mode = S_IFDIR | 0555,
                                             .children = proc_root,
                                             .find = find_process,
                                             .next = next_process};

static struct super *proc_mount(const struct fs_type *type, const char *source, u32 flags,
                                const char *options)
{
    // It shows the processes of this namespace: whoever mounts it must have power over them.
    if (!ns_capable(current_pid_ns()->ns.owner, CAP_SYS_ADMIN))
        return ERR_PTR(-EPERM);
    struct super *s = super_new(type);
    if (!s)
        return ERR_PTR(-ENOMEM);
    struct proc_node n = {.entry = &root_entry, .ns = current_pid_ns()};
    s->private = ns_get(&n.ns->ns);
    struct inode *root = node_inode(s, &n);
    int err = IS_ERR(root) ? PTR_ERR(root) : super_set_root(s, root);
    if (!err)
        return s;
    super_put(s);
    return ERR_PTR(err);
}

static void proc_kill(struct super *s)
{
    ns_put(s->private);
}

static struct fs_type proc_type = {
    .name = "proc",
    .nodev = true,
    .userns_mount = true,
    .reveals = true,
    .mount = proc_mount,
    .kill = proc_kill,
    .magic = PROC_SUPER_MAGIC,
};

void procfs_init(void)
{
    fs_register(&proc_type);
}
