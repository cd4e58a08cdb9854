// Reading a directory of an overlay: the names of all layers, each once.
#include "container/overlay/overlay.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"

#define BUCKETS 64

struct entry {
    struct entry *next_same_hash;
    struct entry *next;
    u64 ino;
    u32 len;
    u8 type;
    bool hidden; // a whiteout: only there to hide what is below
    char name[];
};

struct names { // file.private of an open directory, made when it is read from its start
    struct entry *first, **last;
    struct entry *bucket[BUCKETS];
    u32 shown;
    bool failed;
    struct dentry *layer; // being read
};

static void names_free(struct names *l)
{
    for (struct entry *e = l ? l->first : NULL, *next; e; e = next) {
        next = e->next;
        kfree(e);
    }
    kfree(l);
}

static bool is_hidden(struct names *l, const char *name, size_t len, u8 type)
{
    if (type != S_IFCHR >> 12)
        return false;
    struct dentry *d = raw_lookup(l->layer, name, len);
    bool hidden = d && overlay_is_whiteout(d);
    if (d)
        dentry_put(d);
    return hidden;
}

static bool dots(const char *name, size_t len)
{
    return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

// dir_emit for a layer: keeps names that no layer above has.
static bool add(void *ctx, const char *name, size_t len, u64 ino, u8 type, u64 next)
{
    struct names *l = ctx;
    struct entry **bucket = &l->bucket[name_hash(name, len) % BUCKETS];

    if (dots(name, len) ||
        (len == strlen(OVERLAY_OPAQUE) && memcmp(name, OVERLAY_OPAQUE, len) == 0))
        return true;
    for (struct entry *e = *bucket; e; e = e->next_same_hash)
        if (e->len == len && memcmp(e->name, name, len) == 0)
            return true;
    struct entry *e = kzalloc(sizeof(*e) + len + 1);
    if (!e) {
        l->failed = true;
        return false;
    }
    memcpy(e->name, name, len);
    e->len = len;
    e->ino = ino;
    e->type = type;
    e->hidden = is_hidden(l, name, len, type);
    e->next_same_hash = *bucket;
    *bucket = e;
    *l->last = e;
    l->last = &e->next;
    l->shown += !e->hidden;
    return true;
}

static int read_layer(struct names *l, const struct path *dir)
{
    struct file *f = file_open(dir, O_RDONLY | O_DIRECTORY);
    u64 pos = 0;

    if (IS_ERR(f))
        return PTR_ERR(f);
    l->layer = dir->dentry;
    int err = f->ops->iterate(f, &pos, add, l);
    file_put(f);
    return err ? err : l->failed ? -ENOMEM : 0;
}

static struct names *names_of(struct inode *dir)
{
    const struct overlay_node *n = node_of(dir);
    struct names *l = kzalloc(sizeof(*l));
    int err = 0;

    if (!l)
        return ERR_PTR(-ENOMEM);
    l->last = &l->first;
    if (n->upper) {
        struct path upper = {overlay_of(dir->super)->upper.mount, n->upper};
        err = read_layer(l, &upper);
    }
    for (u32 i = 0; i < n->lowers && !err; i++)
        err = read_layer(l, &n->lower[i]);
    if (!err)
        return l;
    names_free(l);
    return ERR_PTR(err);
}

bool overlay_dir_empty(struct inode *dir)
{
    struct names *l = names_of(dir);

    if (IS_ERR(l))
        return false;
    bool empty = !l->shown;
    names_free(l);
    return empty;
}

// Positions: 0 and 1 are "." and "..", then the entries in order.
static int iterate(struct file *f, u64 *pos, dir_emit emit, void *ctx)
{
    if (*pos == 0 || !f->private) {
        struct names *fresh = names_of(f->inode);
        if (IS_ERR(fresh))
            return PTR_ERR(fresh);
        names_free(f->private);
        f->private = fresh;
    }
    if (!dentry_iterate_dots(f, pos, emit, ctx))
        return 0;
    struct names *l = f->private;
    u64 at = 2;
    for (struct entry *e = l->first; e; e = e->next, at++) {
        if (at < *pos)
            continue;
        if (!e->hidden && !emit(ctx, e->name, e->len, e->ino, e->type, at + 1))
            return 0;
        *pos = at + 1;
    }
    return 0;
}

static void release(struct file *f)
{
    names_free(f->private);
}

const struct file_ops overlay_dir_ops = {.iterate = iterate, .release = release};
