// Mounting an overlay: lowerdir=TOP:…:BOTTOM,upperdir=DIR,workdir=DIR.
#include "container/overlay/overlay.h"
#include <asm/statfs.h>
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/x86/log.h"

static int lookup_layer(const char *option, const char *name, struct path *p)
{
    int err = path_lookup_at(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, p);

    if (err)
        kprintf("overlay: %s: cannot use \"%s\" (errno %d)\n", option, name, -err);
    return err;
}

// The next part of a list with ':' between, '\' before one that is part of a name. Changes the
// text.
static char *next_part(char **list)
{
    char *start = *list, *out = start, *s = start;

    for (; *s && *s != ':'; s++) {
        if (*s == '\\' && s[1])
            s++;
        *out++ = *s;
    }
    *list = *s ? s + 1 : s;
    *out = 0;
    return start;
}

static int add_lowers(struct overlay *o, char *list)
{
    while (*list) {
        char *name = next_part(&list);
        if (o->lowers == OVERLAY_LAYERS) {
            kprintf("overlay: lowerdir: more than %d layers\n", OVERLAY_LAYERS);
            return -EINVAL;
        }
        int err = lookup_layer("lowerdir", name, &o->lower[o->lowers]);
        if (err)
            return err;
        o->lowers++;
    }
    return 0;
}

static int one_option(struct overlay *o, char *key, char *value)
{
    static const char *const accepted[] = {"index",      "metacopy",  "redirect_dir", "xino",
                                           "nfs_export", "userxattr", "volatile"};

    if (strcmp(key, "lowerdir") == 0)
        return add_lowers(o, value);
    if (strcmp(key, "upperdir") == 0 && !o->upper.mount)
        return lookup_layer(key, value, &o->upper);
    if (strcmp(key, "workdir") == 0 && !o->work.mount)
        return lookup_layer(key, value, &o->work);
    for (unsigned n = 0; n < ARRAY_SIZE(accepted); n++)
        if (strcmp(key, accepted[n]) == 0)
            return 0;
    kprintf("overlay: bad mount option \"%s=%s\"\n", key, value);
    return -EINVAL;
}

static int parse_options(struct overlay *o, char *text)
{
    int err = 0;

    for (char *key = text, *next; !err && key && *key; key = next) {
        next = strchr(key, ',');
        if (next)
            *next++ = 0;
        char *value = strchr(key, '=');
        if (value)
            *value++ = 0;
        err = one_option(o, key, value ? value : "");
    }
    return err;
}

static bool within(const struct path *p, const struct path *top)
{
    const struct dentry *d = p->dentry;

    while (d != top->dentry && d != d->parent)
        d = d->parent;
    return d == top->dentry;
}

static int check_layers(const struct overlay *o)
{
    const char *wrong = NULL;

    if (!o->lowers)
        wrong = "lowerdir is missing";
    else if (o->upper.mount && !o->work.mount)
        wrong = "workdir is missing";
    else if (o->upper.mount && mount_want_write(o->upper.mount))
        wrong = "upperdir is read-only";
    else if (o->upper.mount && !o->upper.mount->super->complete)
        wrong = "upperdir is on a file system that cannot take it";
    else if (o->upper.mount && o->upper.mount->super != o->work.mount->super)
        wrong = "workdir and upperdir are on different file systems";
    else if (o->upper.mount && (within(&o->work, &o->upper) || within(&o->upper, &o->work)))
        wrong = "workdir and upperdir overlap";
    if (wrong)
        kprintf("overlay: %s\n", wrong);
    return wrong ? -EINVAL : 0;
}

static void overlay_free(struct overlay *o)
{
    path_put(&o->upper);
    path_put(&o->work);
    for (u32 i = 0; i < o->lowers; i++)
        path_put(&o->lower[i]);
    kfree(o->options);
    kfree(o);
}

static int make_root(struct super *s, struct overlay *o)
{
    struct dentry *upper = o->upper.mount ? dentry_get(o->upper.dentry) : NULL;
    struct overlay_node *n = overlay_node_new(upper, o->lowers);

    if (!n)
        return -ENOMEM;
    for (; n->lowers < o->lowers; n->lowers++) {
        n->lower[n->lowers] = o->lower[n->lowers];
        dentry_get(n->lower[n->lowers].dentry);
    }
    struct inode *root = overlay_inode(s, n);
    return root ? super_set_root(s, root) : -ENOMEM;
}

static struct super *overlay_mount(const struct fs_type *type, const char *source, u32 flags,
                                   const char *options)
{
    struct overlay *o = kzalloc(sizeof(*o));
    char *text = kstrdup(options);
    int err = o && text && (o->options = kstrdup(options)) ? 0 : -ENOMEM;
    struct super *s = NULL;

    if (!err)
        err = parse_options(o, text);
    if (!err)
        err = check_layers(o);
    if (!err && !(s = super_new(type)))
        err = -ENOMEM;
    kfree(text);
    if (!s) {
        if (o)
            overlay_free(o);
        return ERR_PTR(err);
    }
    s->private = o;
    s->keep_dentries = true;
    if (!o->upper.mount)
        s->flags |= MS_RDONLY;
    err = make_root(s, o);
    if (!err)
        return s;
    super_put(s);
    return ERR_PTR(err);
}

static void overlay_kill(struct super *s)
{
    overlay_free(s->private);
}

static int overlay_statfs(struct super *s, void *statfs)
{
    struct overlay *o = s->private;
    struct super *real = (o->upper.mount ? o->upper.mount : o->lower[0].mount)->super;

    int err = real->type->statfs ? real->type->statfs(real, statfs) : 0;
    ((struct statfs *)statfs)->f_type = OVERLAY_MAGIC;
    return err;
}

static void overlay_show_options(struct super *s, char *buf, size_t size)
{
    struct overlay *o = s->private;

    if (*o->options)
        snprintf(buf, size, ",%s", o->options);
}

static struct fs_type overlay_type = {
    .name = "overlay",
    .nodev = true,
    .userns_mount = true,
    .mount = overlay_mount,
    .kill = overlay_kill,
    .statfs = overlay_statfs,
    .show_options = overlay_show_options,
    .magic = OVERLAY_MAGIC,
};

void overlay_init(void)
{
    fs_register(&overlay_type);
}
