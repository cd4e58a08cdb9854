// The tree of names and the hash that finds them. See dentry.h.
//
// The hash doubles when it holds more names than buckets, so that a lookup stays short in
// directories with many entries.
#include "kernel/fs/dentry.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"

#define FIRST_BITS 10
#define MAX_BITS 19

static struct dentry *first_table[1 << FIRST_BITS];
static struct dentry **table = first_table;
static u32 bits = FIRST_BITS;
static u64 hashed;

u32 name_hash(const char *name, size_t len)
{
    u32 hash = NAME_HASH_INIT;

    while (len--)
        hash = name_hash_step(hash, *name++);
    return hash;
}

static struct dentry **bucket(const struct dentry *dir, u32 hash)
{
    u64 mixed = (((u64)dir >> 6) ^ hash) * 0x9e3779b97f4a7c15UL;
    return &table[mixed >> (64 - bits)];
}

// Without memory for a larger table the chains only get longer.
static void grow(void)
{
    struct dentry **old = table, *d, *next;
    u32 old_size = 1u << bits;

    if (bits == MAX_BITS)
        return;
    struct dentry **larger = kzalloc(2UL * old_size * sizeof(*larger));
    if (!larger)
        return;
    table = larger;
    bits++;
    for (u32 n = 0; n < old_size; n++)
        for (d = old[n]; d; d = next) {
            next = d->hash_next;
            struct dentry **b = bucket(d->parent, d->hash);
            d->hash_next = *b;
            *b = d;
        }
    if (old != first_table)
        kfree(old);
}

static void hash_add(struct dentry *d)
{
    if (++hashed > 1UL << bits)
        grow();
    struct dentry **b = bucket(d->parent, d->hash);
    d->hash_next = *b;
    *b = d;
}

static void hash_remove(struct dentry *d)
{
    struct dentry **b = bucket(d->parent, d->hash);

    while (*b != d)
        b = &(*b)->hash_next;
    *b = d->hash_next;
    hashed--;
}

static int set_name(struct dentry *d, const char *name, size_t len)
{
    char *text = len < sizeof(d->short_name) ? d->short_name : kmalloc_charged(len + 1);

    if (!text)
        return -ENOMEM;
    memmove(text, name, len);
    text[len] = 0;
    if (d->name && d->name != d->short_name)
        kfree(d->name);
    d->name = text;
    d->len = len;
    d->hash = name_hash(text, len);
    return 0;
}

static struct dentry *dentry_new(struct super *s, const char *name, size_t len, struct inode *inode)
{
    struct dentry *d = kzalloc_charged(sizeof(*d));

    if (!d || set_name(d, name, len) < 0) {
        kfree(d);
        inode_put(inode);
        return NULL;
    }
    d->super = s;
    d->inode = inode;
    d->refs = 1;
    d->next_cookie = 2; // 0 and 1 are "." and ".."
    list_init(&d->children);
    list_init(&d->sibling);
    return d;
}

struct dentry *dentry_root(struct super *s, struct inode *inode)
{
    struct dentry *d = dentry_new(s, "/", 1, inode);

    if (d)
        d->parent = d;
    return d;
}

static void enter(struct dentry *d, struct dentry *dir)
{
    d->parent = dentry_get(dir);
    d->cookie = dir->next_cookie++;
    list_append(&dir->children, &d->sibling);
    hash_add(d);
}

struct dentry *dentry_attach(struct dentry *dir, const char *name, size_t len, struct inode *inode)
{
    struct dentry *d = dentry_new(dir->super, name, len, inode);

    if (!d)
        return NULL;
    enter(d, dir);
    if (d->super->keep_dentries)
        d->refs++;
    return d;
}

static void leave(struct dentry *d)
{
    hash_remove(d);
    list_remove(&d->sibling);
}

void dentry_put(struct dentry *d)
{
    while (--d->refs == 0) {
        struct dentry *parent = d->parent;
        if (!d->deleted && parent != d)
            leave(d);
        inode_put(d->inode);
        if (d->name != d->short_name)
            kfree(d->name);
        kfree(d);
        if (parent == d)
            return;
        d = parent;
    }
}

void dentry_unlink(struct dentry *d)
{
    if (d->deleted)
        return;
    leave(d);
    d->deleted = true;
    if (d->super->keep_dentries)
        dentry_put(d);
}

int dentry_move(struct dentry *d, struct dentry *dir, const char *name, size_t len)
{
    struct dentry *old_parent = d->parent;
    char copy[NAME_MAX_K + 1];

    // The name may be another dentry's that changes too (RENAME_EXCHANGE).
    memcpy(copy, name, len);
    leave(d);
    int err = set_name(d, copy, len);
    enter(d, err ? old_parent : dir);
    dentry_put(old_parent);
    return err;
}

static struct dentry *cached(struct dentry *dir, const char *name, size_t len, u32 hash)
{
    struct dentry *d;

    for (d = *bucket(dir, hash); d; d = d->hash_next)
        if (d->hash == hash && d->parent == dir && d->len == len && memcmp(d->name, name, len) == 0)
            return d;
    return NULL;
}

struct dentry *dentry_lookup(struct dentry *dir, const char *name, size_t len, u32 hash)
{
    struct dentry *d = cached(dir, name, len, hash);
    const struct inode_ops *ops;

    if (d) {
        ops = d->inode->ops;
        if (!ops || !ops->revalidate || ops->revalidate(d->inode))
            return dentry_get(d);
        dentry_unlink(d);
    }
    if (dir->super->complete || dir->deleted)
        return NULL;
    ops = dir->inode->ops;
    if (!ops->lookup)
        return ERR_PTR(-ENOTDIR);
    struct inode *inode = ops->lookup(dir->inode, name, len);
    if (!inode || IS_ERR(inode))
        return (void *)inode;
    d = dentry_attach(dir, name, len, inode);
    return d ? d : ERR_PTR(-ENOMEM);
}

// Leaves first. Whoever still refers to a name (a bug) keeps it as a deleted one.
void dentry_kill_tree(struct dentry *root)
{
    struct dentry *d = root;

    for (;;) {
        while (!list_empty(&d->children))
            d = list_first(&d->children, struct dentry, sibling);
        struct dentry *parent = d->parent;
        if (d == root)
            break;
        dentry_unlink(d);
        d = parent;
    }
    dentry_put(root);
}

bool dentry_iterate_dots(struct file *f, u64 *pos, dir_emit emit, void *ctx)
{
    struct dentry *d = f->path.dentry;

    if (*pos == 0) {
        if (!emit(ctx, ".", 1, d->inode->ino, S_IFDIR >> 12, 1))
            return false;
        *pos = 1;
    }
    if (*pos == 1) {
        if (!emit(ctx, "..", 2, d->parent->inode->ino, S_IFDIR >> 12, 2))
            return false;
        *pos = 2;
    }
    return true;
}

int dentry_iterate(struct file *f, u64 *pos, dir_emit emit, void *ctx)
{
    struct dentry *d;

    if (!dentry_iterate_dots(f, pos, emit, ctx))
        return 0;
    list_for_each (d, &f->path.dentry->children, sibling) {
        if (d->cookie < *pos)
            continue;
        if (!emit(ctx, d->name, d->len, d->inode->ino, d->inode->mode >> 12, d->cookie + 1))
            return 0;
        *pos = d->cookie + 1;
    }
    return 0;
}
