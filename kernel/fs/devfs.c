// Character devices, and the instances of tmpfs that show them: devtmpfs (one for all, as /dev) and
// devpts (one for all, as /dev/pts).
#include <linux/major.h>
#include "kernel/fs/chrdev.h"
#include "kernel/fs/namei.h"
#include "kernel/fs/tmpfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/x86/log.h"

#define MAJORS 256
#define DEVPTS_MAGIC 0x1cd1

static struct {
    const char *name;
    const struct file_ops *ops;
} drivers[MAJORS];

static struct super *devfs, *devpts;

int chrdev_register(u32 major, const char *name, const struct file_ops *ops)
{
    if (major >= MAJORS || drivers[major].ops)
        return -EBUSY;
    drivers[major].name = name;
    drivers[major].ops = ops;
    return 0;
}

const struct file_ops *chrdev_find(u32 major)
{
    return major < MAJORS ? drivers[major].ops : NULL;
}

bool chrdev_next(u32 *major, const char **name)
{
    for (; *major < MAJORS; ++*major)
        if (drivers[*major].ops) {
            *name = drivers[*major].name;
            return true;
        }
    return false;
}

// The directory for a device's name, and the name in it.
static struct dentry *place(const char **name)
{
    if (strncmp(*name, "pts/", 4) != 0)
        return devfs->root;
    *name += 4;
    return devpts->root;
}

int devfs_node(const char *name, u32 mode, u64 rdev)
{
    struct dentry *dir = place(&name);
    const char *slash = strchr(name, '/');

    if (slash) {
        int err = vfs_create(dir, name, slash - name, S_IFDIR | 0755, 0, NULL);
        if (err && err != -EEXIST)
            return err;
        dir = vfs_lookup(dir, name, slash - name);
        if (IS_ERR(dir))
            return PTR_ERR(dir);
        name = slash + 1;
        err = vfs_create(dir, name, strlen(name), S_IFCHR | mode, rdev, NULL);
        dentry_put(dir);
        return err;
    }
    return vfs_create(dir, name, strlen(name), S_IFCHR | mode, rdev, NULL);
}

void devfs_remove(const char *name)
{
    struct dentry *dir = place(&name);
    struct dentry *d = dentry_lookup(dir, name, strlen(name), name_hash(name, strlen(name)));

    if (!d || IS_ERR(d))
        return;
    dir->inode->ops->unlink(dir->inode, d->name, d->len, d->inode);
    dentry_unlink(d);
    dentry_put(d);
}

static struct super *the_only_one(const struct fs_type *type, const char *source, u32 flags,
                                  const char *options)
{
    struct super *s = type->magic == DEVPTS_MAGIC ? devpts : devfs;

    s->refs++;
    return s;
}

static struct fs_type devfs_type = {
    .name = "devtmpfs",
    .nodev = true,
    .mount = the_only_one,
    .statfs = tmpfs_statfs,
    .magic = TMPFS_MAGIC_K,
};

static struct fs_type devpts_type = {
    .name = "devpts",
    .nodev = true,
    .userns_mount = true,
    .mount = the_only_one,
    .statfs = tmpfs_statfs,
    .magic = DEVPTS_MAGIC,
};

static const struct {
    const char *name, *target;
} links[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};

void devfs_init(void)
{
    devfs = tmpfs_super(&devfs_type, 0755);
    devpts = tmpfs_super(&devpts_type, 0755);
    if (IS_ERR(devfs) || IS_ERR(devpts))
        panic("devfs: no memory");
    fs_register(&devfs_type);
    fs_register(&devpts_type);
    for (unsigned n = 0; n < ARRAY_SIZE(links); n++)
        vfs_symlink(devfs->root, links[n].name, strlen(links[n].name), links[n].target, NULL);
    vfs_create(devfs->root, "shm", 3, S_IFDIR | S_ISVTX | 0777, 0, NULL);
    vfs_create(devfs->root, "pts", 3, S_IFDIR | 0755, 0, NULL);
}
