// From a path to an open file: openat(2), and what exec opens.
#include "kernel/fs/chrdev.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/fs/namei.h"
#include "kernel/fs/path_walk.h"
#include "kernel/fs/pipe.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/task/exec.h"
#include "kernel/task/task.h"

static void file_starts_writing(struct file *f)
{
    f->inode->write_count++;
    f->path.mount->writers++;
}

static int start_file(struct file *f, struct inode *inode)
{
    const struct file_ops *ops = inode->fops;

    if (f->kind & FILE_PATH)
        return 0;
    if (S_ISFIFO(inode->mode))
        f->ops = ops = &fifo_file_ops;
    else if (S_ISCHR(inode->mode) && !ops) {
        f->ops = ops = chrdev_find(dev_major(inode->rdev));
        if (!ops)
            return -ENXIO;
    } else if (S_ISSOCK(inode->mode) || S_ISBLK(inode->mode))
        return -ENXIO;
    return ops && ops->open ? ops->open(inode, f) : 0;
}

struct file *file_open(const struct path *p, u32 flags)
{
    struct inode *inode = p->dentry->inode;
    struct file *f = file_alloc(inode->fops, flags);

    if (IS_ERR(f))
        return f;
    if (flags & O_PATH)
        f->kind = FILE_PATH;
    f->path = *p;
    path_get(&f->path);
    f->inode = inode_get(inode);
    if ((f->kind & FILE_WRITE) && S_ISREG(inode->mode))
        file_starts_writing(f);
    int err = start_file(f, inode);
    f->flags &= ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
    if (!err)
        return f;
    f->ops = NULL;
    file_put(f);
    return ERR_PTR(err);
}

static u32 wanted(u32 flags)
{
    static const u32 may[4] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};
    return may[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

static int may_open(const struct path *p, u32 flags)
{
    struct inode *inode = p->dentry->inode;
    u32 may = wanted(flags);

    if (S_ISLNK(inode->mode))
        return -ELOOP;
    if (S_ISDIR(inode->mode) && ((may & MAY_WRITE) || (flags & O_CREAT)))
        return -EISDIR;
    bool device = S_ISCHR(inode->mode) || S_ISBLK(inode->mode);
    if (device && ((p->mount->flags & MS_NODEV) || (p->mount->super->user_ns != &init_user_ns &&
                                                    !p->mount->super->type->own_devices)))
        return -EACCES;
    int err = inode_permission(inode, may);
    if (err)
        return err;
    if (!(may & MAY_WRITE) || !S_ISREG(inode->mode))
        return 0;
    err = mount_want_write(p->mount);
    if (!err && inode->exec_count)
        err = -ETXTBSY;
    return err ? err : vfs_prepare_write(p->dentry);
}

static struct file *open_found(const struct path *p, u32 flags, bool created)
{
    int err = created || (flags & O_PATH) ? 0 : may_open(p, flags);

    if (err)
        return ERR_PTR(err);
    if ((flags & O_DIRECTORY) && !S_ISDIR(p->dentry->inode->mode))
        return ERR_PTR(-ENOTDIR);
    struct file *f = file_open(p, flags);
    if (IS_ERR(f) || created || !(flags & O_TRUNC) || !S_ISREG(p->dentry->inode->mode))
        return f;
    err = file_truncate(p->dentry->inode, 0);
    if (!err)
        return f;
    file_put(f);
    return ERR_PTR(err);
}

static struct dentry *create_last(struct walk *w, const struct component *c, u32 mode)
{
    struct dentry *d;
    int err = mount_want_write(w->at.mount);

    if (!err)
        err = vfs_create_missing(w->at.dentry, c->text, c->len, S_IFREG | mode, 0, &d);
    return err ? ERR_PTR(err) : d;
}

// The last component of an open that may create. 1: w->at is the file; 2: it was created; 0: it was
// a link, walk on.
static int open_last(struct walk *w, const struct component *c, u32 flags, u32 mode)
{
    if (c->slash) {
        struct inode *dir = w->at.dentry->inode;
        int err = S_ISDIR(dir->mode) ? inode_permission(dir, MAY_EXEC) : -ENOTDIR;
        return err ? err : -EISDIR;
    }
    struct dentry *d = walk_lookup(w, c);
    int result = 1;
    if (IS_ERR(d))
        return PTR_ERR(d);
    if (d && (flags & O_EXCL)) {
        dentry_put(d);
        return -EEXIST;
    }
    if (d && S_ISLNK(d->inode->mode) && !(flags & O_NOFOLLOW)) {
        result = walk_follow(w, d);
        dentry_put(d);
        return result;
    }
    if (!d) {
        d = create_last(w, c, mode);
        if (IS_ERR(d))
            return PTR_ERR(d);
        result = 2;
    }
    dentry_put(w->at.dentry);
    w->at.dentry = d;
    path_cross_mounts(&w->at);
    return result;
}

static struct file *open_create(int dirfd, const char *name, u32 flags, u32 mode)
{
    struct component c;
    struct walk w;
    int result = walk_start(&w, dirfd, name);

    while (result == 0) {
        result = walk_to_parent(&w, &c);
        if (result)
            break;
        if (c.len == 0 || component_is_dots(&c)) { // (a magic link has moved w.at)
            result = c.len ? walk_dots(&w, &c) : 0;
            if (!result)
                result = flags & O_EXCL ? -EEXIST : 1;
        } else
            result = open_last(&w, &c, flags, mode);
    }
    struct file *f = result < 0 ? ERR_PTR(result) : open_found(&w.at, flags, result == 2);
    walk_end(&w);
    return f;
}

struct file *path_open_at(int dirfd, const char *name, u32 flags, u32 mode)
{
    struct path p;

    if ((flags & __O_TMPFILE) == __O_TMPFILE)
        return ERR_PTR(-EOPNOTSUPP);
    if (flags & O_PATH)
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    else if (flags & O_CREAT) {
        if (flags & O_DIRECTORY)
            return ERR_PTR(-EINVAL);
        return open_create(dirfd, name, flags, mode & ~fs_current()->umask & 07777);
    }
    int err = path_lookup_at(dirfd, name,
                             (flags & O_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                                 (flags & O_DIRECTORY ? LOOKUP_DIRECTORY : 0),
                             &p);
    if (err)
        return ERR_PTR(err);
    struct file *f = open_found(&p, flags, false);
    path_put(&p);
    return f;
}

struct file *kernel_open(const char *name, u32 flags, u32 mode)
{
    return path_open_at(AT_FDCWD, name, flags, mode);
}

int kernel_mkdir(const char *name, u32 mode)
{
    struct path_last last;
    struct path parent;
    int err = path_lookup_parent(AT_FDCWD, name, &parent, &last);

    if (err)
        return err;
    err = last.len ? vfs_create(parent.dentry, last.name, last.len, S_IFDIR | mode, 0, NULL)
                   : -EEXIST;
    path_put(&parent);
    return err;
}

static long exec_read(struct exec_file *e, void *buf, size_t n, u64 off)
{
    return kernel_read(e->file, buf, n, off);
}

static void exec_close(struct exec_file *e)
{
    file_put(e->file);
    kfree(e);
}

static int may_exec(const struct path *p)
{
    struct inode *inode = p->dentry->inode;

    if (S_ISLNK(inode->mode))
        return -ELOOP;
    if (!S_ISREG(inode->mode) || (p->mount->flags & MS_NOEXEC) || !inode->mapping)
        return -EACCES;
    int err = inode_permission(inode, MAY_EXEC);
    return !err && inode->write_count > 0 ? -ETXTBSY : err;
}

static struct exec_file *exec_open_found(const struct path *p)
{
    int err = may_exec(p);

    if (err)
        return ERR_PTR(err);
    struct exec_file *e = kzalloc(sizeof(*e));
    if (!e)
        return ERR_PTR(-ENOMEM);
    struct file *f = file_open(p, O_RDONLY);
    if (IS_ERR(f)) {
        kfree(e);
        return (void *)f;
    }
    struct inode *inode = f->inode;
    f->kind |= FILE_EXEC;
    inode->exec_count++;
    if (inode->ops->refresh)
        inode->ops->refresh(inode);
    *e = (struct exec_file){f,          inode->mapping, inode->size, inode->mode,
                            inode->uid, inode->gid,     exec_read,   exec_close};
    if (p->mount->flags & MS_NOSUID)
        e->mode &= ~(S_ISUID | S_ISGID);
    return e;
}

static struct exec_file *exec_open_path(int dirfd, const char *path, int flags)
{
    struct path p;
    int err = path_lookup_at(dirfd, path,
                             (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                                 (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0),
                             &p);
    if (err)
        return ERR_PTR(err);
    struct exec_file *e = exec_open_found(&p);
    path_put(&p);
    return e;
}

void open_init(void)
{
    exec_open = exec_open_path;
}
