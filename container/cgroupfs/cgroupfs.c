// The file system "cgroup2": directories are cgroups, files come from the table in files.c. See
// cgroupfs.h.
//
// Nothing is kept here: an inode lives while somebody holds it, and refers to its cgroup. A cgroup
// that is removed is no longer found, and what is still open of it answers ENODEV.
#include "container/cgroupfs/cgroupfs.h"
#include <linux/magic.h>
#include "container/cgroupfs/files.h"
#include "kernel/fs/dentry.h"
#include "kernel/fs/fdtable.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/task/task.h"

#define TEXT_MAX 4096 // longest text that a file takes in one write
#define DYNAMIC 1024  // directory positions of children: behind those of files, in order of age

struct node { // what an inode stands for
    struct cgroup *cgroup;
    const struct cgroup_file *file; // NULL: the directory
};

static const struct inode_ops dir_ops, file_inode_ops;
static const struct file_ops dir_fops, file_fops;

static u32 file_mode(const struct cgroup_file *file)
{
    return (file->show ? 0444 : 0) | (file->write ? 0200 : 0);
}

static struct inode *node_inode(struct super *s, struct cgroup *cg, const struct cgroup_file *file)
{
    struct inode *inode = inode_new(s, file ? S_IFREG | file_mode(file) : S_IFDIR | 0755);
    struct node *n = kmalloc(sizeof(*n));

    if (!inode || !n) {
        kfree(n);
        inode_put(inode);
        return ERR_PTR(-ENOMEM);
    }
    *n = (struct node){cgroup_get(cg), file};
    inode->private = n;
    inode->ino = cg->id << 8 | (file ? file - cgroup_files + 1 : 0);
    inode->uid = inode->gid = 0;
    inode->nlink = file ? 1 : 2;
    inode->ops = file ? &file_inode_ops : &dir_ops;
    inode->fops = file ? &file_fops : &dir_fops;
    return inode;
}

struct cgroup *cgroupfs_cgroup_of(const struct inode *inode)
{
    return inode->ops == &dir_ops ? ((struct node *)inode->private)->cgroup : NULL;
}

struct cgroup *cgroup_from_fd(int fd)
{
    struct file *f = fd_get_any(fd);
    struct cgroup *cg = f && f->inode ? cgroupfs_cgroup_of(f->inode) : NULL;

    if (cg)
        cgroup_get(cg);
    if (f)
        file_put(f);
    return cg ? cg : ERR_PTR(-EBADF);
}

static struct inode *lookup(struct inode *dir, const char *name, size_t len)
{
    struct cgroup *cg = cgroupfs_cgroup_of(dir), *child;

    if (cg->removed)
        return NULL;
    for (const struct cgroup_file *f = cgroup_files; f->name; f++) {
        if (strlen(f->name) == len && memcmp(f->name, name, len) == 0)
            return cgroup_file_present(f, cg) ? node_inode(dir->super, cg, f) : NULL;
    }
    list_for_each (child, &cg->children, sibling) {
        if (strlen(child->name) == len && memcmp(child->name, name, len) == 0)
            return node_inode(dir->super, child, NULL);
    }
    return NULL;
}

static int create(struct inode *dir, const char *name, size_t len, u32 mode, u64 rdev,
                  struct inode **out)
{
    struct cgroup *cg = cgroupfs_cgroup_of(dir);
    char text[sizeof(cg->name)];

    if (!S_ISDIR(mode))
        return S_ISREG(mode) ? -EACCES : -EPERM;
    if (len >= sizeof(text))
        return -ENAMETOOLONG;
    memcpy(text, name, len);
    text[len] = '\0';
    if (strchr(text, '\n'))
        return -EINVAL;
    struct cgroup *child = cgroup_create(cg, text);
    if (IS_ERR(child))
        return PTR_ERR(child);
    *out = node_inode(dir->super, child, NULL);
    if (!IS_ERR(*out))
        return 0;
    cgroup_remove(child);
    return PTR_ERR(*out);
}

static int unlink(struct inode *dir, const char *name, size_t len, struct inode *target)
{
    struct cgroup *cg = cgroupfs_cgroup_of(target);
    int err = cg ? cgroup_remove(cg) : -EPERM;

    if (!err)
        target->nlink = 0;
    return err;
}

static int iterate(struct file *f, u64 *pos, dir_emit emit, void *ctx)
{
    struct cgroup *cg = cgroupfs_cgroup_of(f->inode), *child;

    if (cg->removed)
        return -ENOENT;
    if (!dentry_iterate_dots(f, pos, emit, ctx))
        return 0;
    for (const struct cgroup_file *e; *pos < DYNAMIC; ++*pos) {
        e = &cgroup_files[*pos - 2];
        if (!e->name) {
            *pos = DYNAMIC;
            break;
        }
        if (cgroup_file_present(e, cg) &&
            !emit(ctx, e->name, strlen(e->name), cg->id << 8 | (*pos - 1), 8, *pos + 1)) // DT_REG
            return 0;
    }
    list_for_each (child, &cg->children, sibling) {
        if (DYNAMIC + child->id < *pos)
            continue;
        u64 next = DYNAMIC + child->id + 1;
        if (!emit(ctx, child->name, strlen(child->name), child->id << 8, 4, next)) // DT_DIR
            return 0;
        *pos = next;
    }
    return 0;
}

static int show(struct seqtext *s, void *arg)
{
    const struct node *n = arg;

    if (n->cgroup->removed)
        return -ENODEV;
    return n->file->show ? n->file->show(s, n->cgroup) : -EINVAL;
}

static long read_file(struct file *f, struct uio *u, u64 *pos)
{
    return seq_read(f, u, pos, show, f->inode->private);
}

// A cgroup's own limits are its parent's to set: the root of a cgroup namespace cannot loosen what
// was set from outside.
static int may_write(const struct node *n)
{
    if (n->cgroup->removed)
        return -ENODEV;
    if (!n->file->write)
        return -EINVAL;
    bool own_root = n->cgroup->parent && n->cgroup == cgroup_ns_root();
    return own_root && !n->file->delegated ? -EPERM : 0;
}

static long write_file(struct file *f, struct uio *u, u64 *pos)
{
    const struct node *n = f->inode->private;
    int err = may_write(n);

    if (err)
        return err;
    char *text = kmalloc(TEXT_MAX);
    if (!text)
        return -ENOMEM;
    long len = seq_written(u, text, TEXT_MAX);
    // The copy may have slept, and the cgroup may be gone since.
    err = len < 0 ? (int)len : n->cgroup->removed ? -ENODEV : n->file->write(n->cgroup, text);
    kfree(text);
    return err ? err : len;
}

static int truncate(struct inode *inode, u64 size)
{
    return 0; // "echo x > FILE" opens with O_TRUNC
}

static bool revalidate(struct inode *inode)
{
    const struct node *n = inode->private;

    return !n->cgroup->removed && (!n->file || cgroup_file_present(n->file, n->cgroup));
}

static void evict(struct inode *inode)
{
    struct node *n = inode->private;

    cgroup_put(n->cgroup);
    kfree(n);
}

static const struct inode_ops dir_ops = {
    .lookup = lookup, .create = create, .unlink = unlink, .revalidate = revalidate, .evict = evict};
static const struct inode_ops file_inode_ops = {
    .truncate = truncate, .revalidate = revalidate, .evict = evict};
static const struct file_ops dir_fops = {.iterate = iterate};
static const struct file_ops file_fops = {
    .read = read_file, .write = write_file, .release = seq_release};

static struct super *mount(const struct fs_type *type, const char *source, u32 flags,
                           const char *options)
{
    struct super *s = super_new(type);

    if (!s)
        return ERR_PTR(-ENOMEM);
    struct inode *root = node_inode(s, cgroup_ns_root(), NULL);
    int err = IS_ERR(root) ? PTR_ERR(root) : super_set_root(s, root);
    if (!err)
        return s;
    super_put(s);
    return ERR_PTR(err);
}

static struct fs_type cgroup2_type = {
    .name = "cgroup2",
    .nodev = true,
    .userns_mount = true,
    .mount = mount,
    .magic = CGROUP2_SUPER_MAGIC,
};

void cgroupfs_init(void)
{
    fs_register(&cgroup2_type);
}
