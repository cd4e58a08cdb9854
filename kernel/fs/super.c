// File system types and instances.
#include "kernel/fs/dentry.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/task/task.h"

static struct list types = LIST_INIT(types);
static u64 last_dev;

void fs_register(struct fs_type *type)
{
    list_append(&types, &type->link);
}

struct fs_type *fs_find(const char *name)
{
    struct fs_type *t;

    list_for_each (t, &types, link)
        if (strcmp(t->name, name) == 0)
            return t;
    return NULL;
}

struct fs_type *fs_next(struct fs_type *after)
{
    struct list *next = after ? after->link.next : types.next;
    return next == &types ? NULL : list_entry(next, struct fs_type, link);
}

struct super *super_new(const struct fs_type *type)
{
    struct super *s = kzalloc(sizeof(*s));

    if (!s)
        return NULL;
    s->type = type;
    s->refs = 1;
    last_dev++;
    s->dev = dev_make(0, last_dev);
    s->next_ino = 1;
    s->user_ns = current() && current()->cred ? current()->cred->user_ns : &init_user_ns;
    ns_get(&s->user_ns->ns);
    return s;
}

int super_set_root(struct super *s, struct inode *root)
{
    s->root = dentry_root(s, root);
    return s->root ? 0 : -ENOMEM;
}

void super_put(struct super *s)
{
    if (--s->refs)
        return;
    if (s->root)
        dentry_kill_tree(s->root);
    if (s->type->kill)
        s->type->kill(s);
    ns_put(&s->user_ns->ns);
    kfree(s);
}
