// Character devices, and the instances of tmpfs that show them: devtmpfs (one for all, as /dev) and
// devpts. The first mount namespace has one devpts; a mount in any other makes an instance of its
// own, so that a container sees the terminals that it opened itself and no others.
#include <linux/major.h>
#include "kernel/fs/chrdev.h"
#include "kernel/fs/mount.h"
#include "kernel/fs/namei.h"
#include "kernel/fs/tmpfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/x86/log.h"

#define MAJORS 256
#define DEVPTS_MAGIC 0x1cd1
#define PTMX_MINOR 2

static struct {
    const char *name;
    const struct file_ops *ops;
} drivers[MAJORS];

static struct super *devfs, *devpts;
static struct fs_type devpts_type;

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

int devfs_node(const char *name, u32 mode, u64 rdev)
{
    struct dentry *dir = devfs->root;
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

struct super *devpts_of(const struct inode *ptmx)
{
    struct super *s = ptmx->super && ptmx->super->type == &devpts_type ? ptmx->super : devpts;

    s->refs++;
    return s;
}

int devpts_node(struct super *s, unsigned number, u64 rdev)
{
    char name[16];

    snprintf(name, sizeof(name), "%u", number);
    return vfs_create(s->root, name, strlen(name), S_IFCHR | 0620, rdev, NULL);
}

void devpts_remove(struct super *s, unsigned number)
{
    char name[16];
    struct dentry *dir = s->root;

    snprintf(name, sizeof(name), "%u", number);
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
    devfs->refs++;
    return devfs;
}

static struct super *devpts_new(void)
{
    struct super *s = tmpfs_super(&devpts_type, 0755);

    if (IS_ERR(s))
        return s;
    int err =
        vfs_create(s->root, "ptmx", 4, S_IFCHR | 0666, dev_make(TTYAUX_MAJOR, PTMX_MINOR), NULL);
    if (!err)
        return s;
    super_put(s);
    return ERR_PTR(err);
}

static struct super *devpts_mount(const struct fs_type *type, const char *source, u32 flags,
                                  const char *options)
{
    if (current_mnt_ns() != &init_mnt_ns)
        return devpts_new();
    devpts->refs++;
    return devpts;
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
    .own_devices = true,
    .mount = devpts_mount,
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
    devpts = devpts_new();
    if (IS_ERR(devfs) || IS_ERR(devpts))
        panic("devfs: no memory");
    fs_register(&devfs_type);
    fs_register(&devpts_type);
    for (unsigned n = 0; n < ARRAY_SIZE(links); n++)
        vfs_symlink(devfs->root, links[n].name, strlen(links[n].name), links[n].target, NULL);
    vfs_create(devfs->root, "shm", 3, S_IFDIR | S_ISVTX | 0777, 0, NULL);
    vfs_create(devfs->root, "pts", 3, S_IFDIR | 0755, 0, NULL);
}
