#include "kernel/fs/initramfs.h"
#include "kernel/boot/boot_info.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/fs/namei.h"
#include "kernel/lib/cpio.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/slab.h"
#include "kernel/x86/log.h"

struct link { // a file with several names, kept until the module is done
    struct link *next;
    u32 ino, dev_major, dev_minor;
    struct dentry *d;
};

struct unpack {
    const struct boot_module *module;
    struct link *links;
    u32 entries, failed;
};

static struct link *find_link(struct unpack *u, const struct cpio_entry *e)
{
    struct link *l = u->links;

    while (l && !(l->ino == e->ino && l->dev_major == e->dev_major && l->dev_minor == e->dev_minor))
        l = l->next;
    return l;
}

static void remember_link(struct unpack *u, const struct cpio_entry *e, struct dentry *d)
{
    struct link *l = kzalloc(sizeof(*l));

    if (!l)
        return;
    *l = (struct link){u->links, e->ino, e->dev_major, e->dev_minor, dentry_get(d)};
    u->links = l;
}

static void forget_links(struct unpack *u)
{
    while (u->links) {
        struct link *l = u->links;
        u->links = l->next;
        dentry_put(l->d);
        kfree(l);
    }
}

static int write_data(struct path *parent, struct dentry *d, const struct cpio_entry *e)
{
    if (!S_ISREG(e->mode) || !e->size)
        return 0;
    struct path p = {parent->mount, d};
    struct file *f = file_open(&p, O_WRONLY);
    if (IS_ERR(f))
        return PTR_ERR(f);
    long n = kernel_write(f, e->data, e->size, 0);
    file_put(f);
    return n < 0 ? (int)n : n < (long)e->size ? -ENOSPC : 0;
}

static int make_symlink(struct dentry *dir, const struct path_last *last,
                        const struct cpio_entry *e, struct dentry **out)
{
    char *target = kzalloc(e->size + 1);

    if (!target)
        return -ENOMEM;
    memcpy(target, e->data, e->size);
    int err = vfs_symlink(dir, last->name, last->len, target, out);
    kfree(target);
    return err;
}

// What is there with that name gives way, but a directory stays one. 1: it does.
static int clear_place(struct dentry *dir, const struct path_last *last, u32 mode,
                       struct dentry **kept)
{
    struct dentry *d = vfs_lookup(dir, last->name, last->len);

    if (!d || IS_ERR(d))
        return d ? PTR_ERR(d) : 0;
    if (S_ISDIR(mode) && S_ISDIR(d->inode->mode)) {
        *kept = d;
        return 1;
    }
    int err = vfs_unlink(d, S_ISDIR(d->inode->mode));
    dentry_put(d);
    return err;
}

static int make_entry(struct unpack *u, struct path *parent, const struct path_last *last,
                      const struct cpio_entry *e)
{
    struct dentry *dir = parent->dentry, *d;
    int kept = clear_place(dir, last, e->mode, &d);
    struct link *l = S_ISREG(e->mode) && e->nlink > 1 ? find_link(u, e) : NULL;
    int err = kept < 0 ? kept : 0;

    if (err)
        return err;
    if (l) {
        err = vfs_link(dir, last->name, last->len, l->d);
        return err ? err : write_data(parent, l->d, e);
    }
    if (!kept)
        err = S_ISLNK(e->mode) ? make_symlink(dir, last, e, &d)
                               : vfs_create(dir, last->name, last->len, e->mode,
                                            dev_make(e->rdev_major, e->rdev_minor), &d);
    if (err)
        return err;
    if (S_ISREG(e->mode) && e->nlink > 1)
        remember_link(u, e, d);
    err = write_data(parent, d, e);
    d->inode->mode = e->mode;
    d->inode->uid = e->uid;
    d->inode->gid = e->gid;
    d->inode->mtime = (struct timespec_k){e->mtime, 0};
    dentry_put(d);
    return err;
}

static void unpack_entry(struct unpack *u, const struct cpio_entry *e, size_t offset)
{
    struct path_last last;
    struct path parent;
    int err = path_lookup_parent(AT_FDCWD, e->name, &parent, &last);

    u->entries++;
    if (!err) {
        if (last.len && strcmp(last.name, ".") != 0 && strcmp(last.name, "..") != 0)
            err = make_entry(u, &parent, &last, e);
        path_put(&parent);
    }
    if (err && !u->failed++)
        kprintf("initramfs: %s: offset %lu: cannot make %s (errno %d)\n", u->module->name, offset,
                e->name, -err);
}

static void unpack_module(const struct boot_module *module)
{
    struct unpack u = {.module = module};
    const void *data = phys_to_virt(module->start);
    size_t size = module->end - module->start, offset = 0, before = 0;
    struct cpio_entry e;
    const char *field;
    int more;

    while ((more = cpio_next(data, size, &offset, &e, &field)) > 0) {
        unpack_entry(&u, &e, before);
        before = offset;
    }
    if (more < 0)
        kprintf("initramfs: %s: corrupt at offset %lu of %lu: %s\n", module->name, offset, size,
                field);
    forget_links(&u);
    kprintf("initramfs: %s: %u entries\n", module->name, u.entries);
}

void initramfs_unpack(void)
{
    for (unsigned n = 0; n < boot_info.module_count; n++) {
        const struct boot_module *m = &boot_info.module[n];
        unpack_module(m);
        frame_release_range(m->start, m->end);
    }
}
