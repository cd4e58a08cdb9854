// Inodes without a directory, and nsfs. See anon_path.h.
#include "kernel/fs/anon_path.h"

#include "kernel/fs/dentry.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"

#define NSFS_MAGIC_K 0x6e736673

static const struct fs_type anon_type = {.name = "anon", .nodev = true};
static const struct fs_type nsfs_type = {.name = "nsfs", .nodev = true, .magic = NSFS_MAGIC_K};

static struct super *anon_super, *nsfs_super;

static struct super *super_once(struct super **slot, const struct fs_type *type)
{
    if (!*slot)
        *slot = super_new(type);
    return *slot;
}

// Each such path has a mount and a dentry of its own: nothing is above it and nothing below.
static int path_on(struct super *s, struct inode *inode, struct path *out)
{
    struct dentry *d = dentry_root(s, inode_get(inode));

    if (!d)
        return -ENOMEM;
    struct mount *m = mount_new(s, d, s->type->name, 0);
    if (!m) {
        dentry_put(d);
        return -ENOMEM;
    }
    *out = (struct path){m, d};
    return 0;
}

int anon_path(struct inode *inode, struct path *out)
{
    struct super *s = inode->super ? inode->super : super_once(&anon_super, &anon_type);

    return s ? path_on(s, inode, out) : -ENOMEM;
}

static void nsfs_evict(struct inode *inode)
{
    ns_put(inode->private);
}

static const struct inode_ops nsfs_ops = {.evict = nsfs_evict};
static const struct file_ops nsfs_fops = {0};

int nsfs_path(struct ns *ns, struct path *out)
{
    struct super *s = super_once(&nsfs_super, &nsfs_type);
    struct inode *inode = s ? inode_new(s, S_IFREG | 0444) : NULL;

    if (!inode)
        return -ENOMEM;
    inode->ino = ns->inum;
    inode->ops = &nsfs_ops;
    inode->fops = &nsfs_fops;
    inode->private = ns_get(ns);
    int err = path_on(s, inode, out);
    inode_put(inode);
    return err;
}

struct ns *ns_from_fd(int fd)
{
    struct file *f = fd_get(fd);

    if (!f)
        return ERR_PTR(-EBADF);
    bool is_ns = f->inode && f->inode->ops == &nsfs_ops;
    struct ns *ns = is_ns ? ns_get(f->inode->private) : ERR_PTR(-EINVAL);
    file_put(f);
    return ns;
}
