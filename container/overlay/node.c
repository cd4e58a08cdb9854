// What a name means in all the layers. See overlay.h.
#include "container/overlay/overlay.h"
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/vmobject.h"

struct path overlay_real(const struct inode *i)
{
    const struct overlay_node *n = node_of(i);

    if (n->upper)
        return (struct path){overlay_of(i->super)->upper.mount, n->upper};
    return n->lower[0];
}

struct overlay_node *overlay_node_new(struct dentry *upper, u32 lowers)
{
    struct overlay_node *n = kzalloc_charged(sizeof(*n) + lowers * sizeof(n->lower[0]));

    if (n)
        n->upper = upper;
    else if (upper)
        dentry_put(upper);
    return n;
}

void overlay_node_free(struct overlay_node *n)
{
    if (n->upper)
        dentry_put(n->upper);
    for (u32 i = 0; i < n->lowers; i++)
        dentry_put(n->lower[i].dentry);
    kfree(n);
}

void overlay_refresh(struct inode *i)
{
    struct inode *real = overlay_real(i).dentry->inode;

    if (real->ops && real->ops->refresh)
        real->ops->refresh(real);
    i->mode = real->mode;
    i->uid = real->uid;
    i->gid = real->gid;
    if (i->nlink || node_of(i)->upper) // 0: a lower file that lost its name here
        i->nlink = real->nlink;
    i->size = real->size;
    i->blocks = real->blocks;
    i->rdev = real->rdev;
    i->atime = real->atime;
    i->mtime = real->mtime;
    i->ctime = real->ctime;
}

struct inode *overlay_inode(struct super *s, struct overlay_node *n)
{
    struct inode *i = inode_new(s, 0);

    if (!i) {
        overlay_node_free(n);
        return NULL;
    }
    i->private = n;
    i->ops = &overlay_inode_ops;
    struct inode *real = overlay_real(i).dentry->inode;
    // Layers may be of several file systems, whose numbers must not meet.
    i->ino = real->ino |
             (real->super == overlay_of(s)->lower[0].mount->super ? 0 : real->super->dev << 40);
    overlay_refresh(i);
    if (S_ISDIR(i->mode))
        i->fops = &overlay_dir_ops;
    else if (S_ISREG(i->mode)) {
        i->fops = &overlay_file_ops;
        i->mapping = real->mapping ? vmobject_get(real->mapping) : NULL;
    }
    return i;
}

bool overlay_is_whiteout(const struct dentry *d)
{
    return S_ISCHR(d->inode->mode) && d->inode->rdev == 0;
}

static bool is_opaque(struct dentry *dir)
{
    struct dentry *mark = raw_lookup(dir, OVERLAY_OPAQUE, strlen(OVERLAY_OPAQUE));

    if (mark)
        dentry_put(mark);
    return mark;
}

// Adds what one layer has to the node; false: what is below does not count. Takes over d.
static bool merge(struct overlay_node *n, struct mount *m, struct dentry *d, bool upper)
{
    bool first = !n->upper && !n->lowers, directory = S_ISDIR(d->inode->mode);

    if (overlay_is_whiteout(d) || (!first && !directory)) {
        dentry_put(d);
        return false;
    }
    if (upper)
        n->upper = d;
    else
        n->lower[n->lowers++] = (struct path){m, d};
    return directory && !is_opaque(d);
}

struct inode *overlay_lookup(struct inode *dir, const char *name, size_t len)
{
    struct overlay_node *parent = node_of(dir), *n;
    bool more = true;

    if (len == strlen(OVERLAY_OPAQUE) && memcmp(name, OVERLAY_OPAQUE, len) == 0)
        return NULL;
    n = overlay_node_new(NULL, parent->lowers);
    if (!n)
        return ERR_PTR(-ENOMEM);
    if (parent->upper) {
        struct dentry *d = raw_lookup(parent->upper, name, len);
        more = !d || merge(n, NULL, d, true);
    }
    for (u32 i = 0; more && i < parent->lowers; i++) {
        struct dentry *d = raw_lookup(parent->lower[i].dentry, name, len);
        more = !d || merge(n, parent->lower[i].mount, d, false);
    }
    if (!n->upper && !n->lowers) {
        overlay_node_free(n);
        return NULL;
    }
    struct inode *i = overlay_inode(dir->super, n);
    return i ? i : ERR_PTR(-ENOMEM);
}

bool overlay_below_has(const struct inode *dir, const char *name, size_t len)
{
    const struct overlay_node *n = node_of(dir);

    for (u32 i = 0; i < n->lowers; i++) {
        struct dentry *d = raw_lookup(n->lower[i].dentry, name, len);
        if (!d)
            continue;
        bool shown = !overlay_is_whiteout(d);
        dentry_put(d);
        return shown;
    }
    return false;
}
