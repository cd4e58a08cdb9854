// tmpfs's directories, nodes and mount options. See tmpfs.h.
#include "kernel/fs/tmpfs.h"
#include <asm/statfs.h>
#include <linux/fs.h>
#include "container/ns/ns.h"
#include "kernel/fs/dentry.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/vmobject.h"
#include "kernel/task/task.h"
#include "kernel/x86/log.h"

#define ENTRY_SIZE 20 // what a name adds to its directory's size, as in Linux

static const struct file_ops dir_file_ops = {.iterate = dentry_iterate};

struct inode *tmpfs_inode(struct super *s, u32 mode, u64 rdev)
{
    if (s->max_inodes && s->used_inodes >= s->max_inodes)
        return NULL;
    struct inode *i = inode_new(s, mode);
    if (!i)
        return NULL;
    i->rdev = rdev;
    if (S_ISREG(mode)) {
        i->fops = &tmpfs_file_ops;
        i->mapping = tmpfs_object(s);
        if (!i->mapping) {
            inode_put(i);
            return NULL;
        }
    } else if (S_ISDIR(mode)) {
        i->fops = &dir_file_ops;
        i->nlink = 2;
    }
    i->ops = &tmpfs_inode_ops;
    s->used_inodes++;
    return i;
}

static void evict(struct inode *i)
{
    i->super->used_inodes--;
    kfree(i->private);
}

static void entry_added(struct inode *dir, const struct inode *entry)
{
    dir->size += ENTRY_SIZE;
    if (S_ISDIR(entry->mode))
        dir->nlink++;
}

static void entry_removed(struct inode *dir, const struct inode *entry)
{
    dir->size -= ENTRY_SIZE;
    if (S_ISDIR(entry->mode))
        dir->nlink--;
}

static int create(struct inode *dir, const char *name, size_t len, u32 mode, u64 rdev,
                  struct inode **out)
{
    struct inode *i = tmpfs_inode(dir->super, mode, rdev);

    if (!i)
        return -ENOSPC;
    entry_added(dir, i);
    *out = i;
    return 0;
}

static int symlink(struct inode *dir, const char *name, size_t len, const char *target,
                   struct inode **out)
{
    int err = create(dir, name, len, S_IFLNK | 0777, 0, out);

    if (err)
        return err;
    struct inode *i = *out;
    i->private = kstrdup(target);
    i->size = strlen(target);
    if (i->private)
        return 0;
    entry_removed(dir, i);
    inode_put(i);
    return -ENOMEM;
}

static long readlink(struct inode *link, char *buf, size_t size)
{
    size_t n = min((size_t)link->size, size);

    memcpy(buf, link->private, n);
    return n;
}

static int link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
    target->nlink++;
    entry_added(dir, target);
    return 0;
}

static int unlink(struct inode *dir, const char *name, size_t len, struct inode *target)
{
    if (S_ISDIR(target->mode)) {
        if (target->size)
            return -ENOTEMPTY;
        target->nlink = 0;
    } else
        target->nlink--;
    entry_removed(dir, target);
    return 0;
}

static int rename(struct dentry *old, struct dentry *new_dir, const char *name, size_t len,
                  struct dentry *target, u32 flags)
{
    struct inode *from = old->parent->inode, *to = new_dir->inode;

    if (flags & RENAME_EXCHANGE) {
        entry_removed(to, target->inode);
        entry_added(from, target->inode);
    } else if (target) {
        int err = unlink(to, name, len, target->inode);
        if (err)
            return err;
    }
    entry_removed(from, old->inode);
    entry_added(to, old->inode);
    return 0;
}

static void refresh(struct inode *i)
{
    i->blocks = tmpfs_resident(i) * (PAGE_SIZE / 512);
}

static int truncate(struct inode *i, u64 size)
{
    return i->mapping ? tmpfs_truncate(i, size) : -EINVAL;
}

const struct inode_ops tmpfs_inode_ops = {
    .create = create,
    .symlink = symlink,
    .link = link,
    .unlink = unlink,
    .rename = rename,
    .readlink = readlink,
    .truncate = truncate,
    .allocate = tmpfs_allocate,
    .seek_data = tmpfs_seek_data,
    .refresh = refresh,
    .evict = evict,
};

struct super *tmpfs_super(const struct fs_type *type, u32 mode)
{
    struct super *s = super_new(type);

    if (!s)
        return ERR_PTR(-ENOMEM);
    s->keep_dentries = s->complete = true;
    struct inode *root = tmpfs_inode(s, S_IFDIR | mode, 0);
    if (root && super_set_root(s, root) == 0)
        return s;
    super_put(s);
    return ERR_PTR(-ENOMEM);
}

int tmpfs_statfs(struct super *s, void *statfs)
{
    struct statfs *st = statfs;
    u64 free = frame_free_count();

    st->f_type = s->type->magic;
    st->f_bsize = st->f_frsize = PAGE_SIZE;
    st->f_namelen = NAME_MAX_K;
    st->f_blocks = s->max_bytes ? s->max_bytes / PAGE_SIZE : frame_total();
    st->f_bfree = st->f_bavail =
        s->max_bytes ? min(free, (s->max_bytes - s->used_bytes) / PAGE_SIZE) : free;
    st->f_files = s->max_inodes ? s->max_inodes : frame_total();
    st->f_ffree = st->f_files - min(s->used_inodes, (u64)st->f_files);
    return 0;
}

// "size=50%": of the RAM.
static int parse_size(char *value, u64 *bytes)
{
    size_t len = strlen(value);
    bool percent = len && value[len - 1] == '%';

    if (percent)
        value[len - 1] = 0;
    int err = parse_u64(value, !percent, bytes);
    if (!err && percent)
        *bytes = frame_total() * PAGE_SIZE / 100 * *bytes;
    *bytes = ALIGN_UP(*bytes, PAGE_SIZE);
    return err;
}

static int parse_octal(const char *s, u32 *value)
{
    for (*value = 0; *s >= '0' && *s <= '7'; s++)
        *value = *value * 8 + *s - '0';
    return *s || *value > 07777 ? -EINVAL : 0;
}

static int one_option(struct super *s, char *key, char *value)
{
    struct inode *root = s->root->inode;
    struct user_ns *ns = s->user_ns;
    u64 number;
    u32 mode;

    if (strcmp(key, "size") == 0)
        return parse_size(value, &s->max_bytes);
    if (strcmp(key, "nr_inodes") == 0)
        return parse_u64(value, true, &s->max_inodes);
    if (strcmp(key, "nr_blocks") == 0) {
        int err = parse_u64(value, true, &number);
        s->max_bytes = number * PAGE_SIZE;
        return err;
    }
    if (strcmp(key, "mode") == 0) {
        int err = parse_octal(value, &mode);
        if (!err)
            root->mode = S_IFDIR | mode;
        return err;
    }
    bool gid = strcmp(key, "gid") == 0;
    if (gid || strcmp(key, "uid") == 0) {
        int err = parse_u64(value, false, &number);
        if (!err)
            *(gid ? &root->gid : &root->uid) = map_id_in(ns, gid, number);
        return err;
    }
    return strcmp(key, "inode64") == 0 || strcmp(key, "noswap") == 0 ? 0 : -EINVAL;
}

int tmpfs_options(struct super *s, const char *options)
{
    char *copy = kstrdup(options), *next;
    int err = copy ? 0 : -ENOMEM;

    for (char *key = copy; !err && key && *key; key = next) {
        next = strchr(key, ',');
        if (next)
            *next++ = 0;
        char *value = strchr(key, '=');
        if (value)
            *value++ = 0;
        err = one_option(s, key, value ? value : "");
        if (err)
            kprintf("%s: bad mount option \"%s=%s\"\n", s->type->name, key, value ? value : "");
    }
    kfree(copy);
    return err;
}

static void show_options(struct super *s, char *buf, size_t size)
{
    int n = 0;

    if (s->max_bytes)
        n = snprintf(buf, size, ",size=%luk", s->max_bytes / 1024);
    u32 mode = s->root->inode->mode & 07777;
    if (mode != 01777)
        snprintf(buf + n, size - n, ",mode=%o", mode);
}

static struct super *tmpfs_mount(const struct fs_type *type, const char *source, u32 flags,
                                 const char *options)
{
    struct super *s = tmpfs_super(type, 01777);

    if (IS_ERR(s))
        return s;
    // Without a limit of its own an instance may hold half of the memory, as in Linux.
    s->max_bytes = frame_total() / 2 * PAGE_SIZE;
    int err = tmpfs_options(s, options);
    if (!err)
        return s;
    super_put(s);
    return ERR_PTR(err);
}

struct fs_type tmpfs_type = {
    .name = "tmpfs",
    .nodev = true,
    .userns_mount = true,
    .mount = tmpfs_mount,
    .statfs = tmpfs_statfs,
    .show_options = show_options,
    .remount = tmpfs_options,
    .magic = TMPFS_MAGIC_K,
};
