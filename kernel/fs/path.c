// Path resolution: path_resolution(7).
//
// A walk owns references to the place where it is. It goes through the text iteratively; a symbolic
// link on the way replaces the text by the link's target and the rest, so there is no recursion.
#include "kernel/fs/path_walk.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"

#define MAX_LINKS 40

void path_get(const struct path *p)
{
    mount_get(p->mount);
    dentry_get(p->dentry);
}

void path_put(struct path *p)
{
    if (!p->mount)
        return;
    dentry_put(p->dentry);
    mount_put(p->mount);
    *p = (struct path){};
}

static int start_at(struct walk *w, int dirfd, const char *name)
{
    struct fs_context *fs = fs_current();

    if (*name == '/')
        w->at = fs->root;
    else if (dirfd == AT_FDCWD)
        w->at = fs->cwd;
    else {
        struct file *f = fd_get_any(dirfd);
        if (!f)
            return -EBADF;
        w->at = f->path;
        int err = !w->at.mount ? (*name ? -ENOTDIR : -EBADF) : 0;
        if (!err)
            path_get(&w->at);
        file_put(f);
        return err;
    }
    path_get(&w->at);
    return 0;
}

int walk_start(struct walk *w, int dirfd, const char *name)
{
    w->rest = name;
    w->owned = NULL;
    w->links = 0;
    w->at = (struct path){};
    if (!*name)
        return -ENOENT;
    return start_at(w, dirfd, name);
}

void walk_end(struct walk *w)
{
    kfree(w->owned);
    path_put(&w->at);
}

static int enter_child(struct walk *w, struct dentry *child)
{
    dentry_put(w->at.dentry);
    w->at.dentry = child;
    if (child->mounted)
        path_cross_mounts(&w->at);
    return 0;
}

// Goes on behind the link: the text becomes target + "/" + what was left.
static int push_link(struct walk *w, struct inode *link)
{
    size_t rest = strlen(w->rest);
    char *text = kmalloc(PATH_MAX_K);

    if (!text)
        return -ENOMEM;
    long n = link->ops->readlink ? link->ops->readlink(link, text, PATH_MAX_K) : -EINVAL;
    if (n == 0)
        n = -ENOENT;
    else if (n > 0 && n + rest + 2 > PATH_MAX_K)
        n = -ENAMETOOLONG;
    if (n < 0) {
        kfree(text);
        return n;
    }
    if (rest && w->rest[0] != '/')
        text[n++] = '/';
    memcpy(text + n, w->rest, rest + 1);
    kfree(w->owned);
    w->owned = text;
    w->rest = text;
    if (*text == '/') {
        path_put(&w->at);
        w->at = fs_current()->root;
        path_get(&w->at);
    }
    return 0;
}

// w->at is the directory of the link.
int walk_follow(struct walk *w, struct dentry *link)
{
    const struct inode_ops *ops = link->inode->ops;
    struct path target;

    if (++w->links > MAX_LINKS)
        return -ELOOP;
    if (!ops->follow)
        return push_link(w, link->inode);
    int err = ops->follow(link->inode, &target);
    if (err)
        return err;
    path_put(&w->at);
    w->at = target;
    return 0;
}

// Takes the next component off the text; false if there is none.
bool walk_next(struct walk *w, struct component *c)
{
    const char *s = w->rest;

    while (*s == '/')
        s++;
    if (!*s) {
        w->rest = s;
        return false;
    }
    c->text = s;
    u32 hash = NAME_HASH_INIT;
    for (; *s && *s != '/'; s++)
        hash = name_hash_step(hash, *s);
    c->hash = hash;
    c->len = s - c->text;
    w->rest = s;
    c->slash = *s == '/';
    while (*s == '/')
        s++;
    c->last = !*s;
    return true;
}

bool component_is_dots(const struct component *c)
{
    return c->text[0] == '.' && (c->len == 1 || (c->len == 2 && c->text[1] == '.'));
}

// Looks the component up in the directory w->at, which must be searchable.
struct dentry *walk_lookup(struct walk *w, const struct component *c)
{
    struct inode *dir = w->at.dentry->inode;

    if (!S_ISDIR(dir->mode))
        return ERR_PTR(-ENOTDIR);
    int err = inode_permission(dir, MAY_EXEC);
    if (err)
        return ERR_PTR(err);
    if (c->len > NAME_MAX_K)
        return ERR_PTR(-ENAMETOOLONG);
    return dentry_lookup(w->at.dentry, c->text, c->len, c->hash);
}

// "." and "..": from a directory that may be searched.
int walk_dots(struct walk *w, const struct component *c)
{
    struct inode *dir = w->at.dentry->inode;
    int err = S_ISDIR(dir->mode) ? inode_permission(dir, MAY_EXEC) : -ENOTDIR;

    if (!err && c->len == 2)
        path_up(&w->at, &fs_current()->root);
    return err;
}

// One component that is there; follows it if it is a link and `follow`.
int walk_step(struct walk *w, const struct component *c, bool follow)
{
    if (component_is_dots(c))
        return walk_dots(w, c);
    struct dentry *child = walk_lookup(w, c);
    if (!child)
        return -ENOENT;
    if (IS_ERR(child))
        return PTR_ERR(child);
    if (!follow || !S_ISLNK(child->inode->mode))
        return enter_child(w, child);
    int err = walk_follow(w, child);
    dentry_put(child);
    return err;
}

int walk_to_parent(struct walk *w, struct component *c)
{
    while (walk_next(w, c)) {
        if (c->last)
            return 0;
        int err = walk_step(w, c, true);
        if (err)
            return err;
    }
    *c = (struct component){.text = ""};
    return 0;
}

static int walk_all(struct walk *w, u32 flags)
{
    struct component c;

    while (walk_next(w, &c)) {
        bool follow = !c.last || c.slash || (flags & LOOKUP_FOLLOW);
        if (c.last && c.slash)
            flags |= LOOKUP_DIRECTORY;
        int err = walk_step(w, &c, follow);
        if (err)
            return err;
    }
    if ((flags & LOOKUP_DIRECTORY) && !S_ISDIR(w->at.dentry->inode->mode))
        return -ENOTDIR;
    return 0;
}

int path_lookup_at(int dirfd, const char *name, u32 flags, struct path *out)
{
    struct walk w;

    if (!*name && (flags & LOOKUP_EMPTY)) {
        w.at = (struct path){};
        int err = start_at(&w, dirfd, name);
        *out = w.at;
        return err;
    }
    int err = walk_start(&w, dirfd, name);
    if (!err)
        err = walk_all(&w, flags);
    if (!err) {
        *out = w.at;
        w.at = (struct path){};
    }
    walk_end(&w);
    return err;
}

int path_lookup_parent(int dirfd, const char *name, struct path *parent, struct path_last *last)
{
    struct component c;
    struct walk w;
    int err = walk_start(&w, dirfd, name);

    if (!err)
        err = walk_to_parent(&w, &c);
    if (!err && !S_ISDIR(w.at.dentry->inode->mode))
        err = -ENOTDIR;
    if (!err && c.len)
        err = inode_permission(w.at.dentry->inode, MAY_EXEC);
    if (!err) {
        last->len = c.len; // one that is too long is an error where it is looked up
        strlcpy(last->name, c.text, min((size_t)c.len, sizeof(last->name) - 1) + 1);
        last->slash = c.len && c.slash;
        *parent = w.at;
        w.at = (struct path){};
    }
    walk_end(&w);
    return err;
}
