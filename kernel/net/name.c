// Names of sockets: places in the file system, and abstract ones that begin with a zero byte.
// unix(7).
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/fs/namei.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/net/socket.h"

#define AUTOBIND_DIGITS 5

static struct list bound = LIST_INIT(bound);

long socket_name_check(const struct socket_name *name)
{
    bool right = name->len > SOCKET_NAME_MIN && name->len <= sizeof(name->addr);

    return right && name->addr.sun_family == AF_UNIX ? 0 : -EINVAL;
}

// The path in a name as a string.
static const char *path_of(const struct socket_name *name, char *buf)
{
    size_t len = name->len - SOCKET_NAME_MIN;

    memcpy(buf, name->addr.sun_path, len);
    buf[len] = 0;
    return buf;
}

static struct socket *find_abstract(const struct socket *from, const struct socket_name *name)
{
    struct socket *s;

    list_for_each (s, &bound, bound_link)
        if (!s->path.dentry && s->net == from->net && s->type == from->type &&
            s->name.len == name->len && memcmp(&s->name.addr, &name->addr, name->len) == 0)
            return s;
    return NULL;
}

static struct socket *find_inode(const struct inode *inode)
{
    struct socket *s;

    list_for_each (s, &bound, bound_link)
        if (s->path.dentry && s->path.dentry->inode == inode)
            return s;
    return NULL;
}

static struct socket *find_path(const char *text, u32 type)
{
    struct path p;
    int err = path_lookup_at(AT_FDCWD, text, LOOKUP_FOLLOW, &p);

    if (err)
        return ERR_PTR(err);
    struct inode *inode = p.dentry->inode;
    struct socket *s = NULL;
    err = inode_permission(inode, MAY_WRITE);
    if (!err)
        s = S_ISSOCK(inode->mode) ? find_inode(inode) : NULL;
    path_put(&p);
    if (err || !s)
        return ERR_PTR(err ? err : -ECONNREFUSED);
    return s->type == type ? socket_get(s) : ERR_PTR(-EPROTOTYPE);
}

struct socket *socket_find(const struct socket *from, const struct socket_name *name)
{
    char text[sizeof(name->addr.sun_path) + 1];
    long err = socket_name_check(name);

    if (err)
        return ERR_PTR(err);
    if (name->addr.sun_path[0])
        return find_path(path_of(name, text), from->type);
    struct socket *s = find_abstract(from, name);
    return s ? socket_get(s) : ERR_PTR(-ECONNREFUSED);
}

static long make_node(const char *text, struct path *out)
{
    struct path_last last;
    struct path parent;
    long err = path_lookup_parent(AT_FDCWD, text, &parent, &last);

    if (err)
        return err;
    if (!last.len || strcmp(last.name, ".") == 0 || strcmp(last.name, "..") == 0)
        err = -EEXIST;
    if (!err)
        err = last.slash ? -ENOENT : mount_want_write(parent.mount);
    if (!err)
        err = vfs_create(parent.dentry, last.name, last.len,
                         S_IFSOCK | (0777 & ~fs_current()->umask), 0, &out->dentry);
    if (!err)
        out->mount = mount_get(parent.mount);
    path_put(&parent);
    return err == -EEXIST ? -EADDRINUSE : err;
}

static long bind_path(struct socket *s, const struct socket_name *name)
{
    char text[sizeof(name->addr.sun_path) + 1];
    long err = make_node(path_of(name, text), &s->path);

    if (err)
        return err;
    s->name.len = SOCKET_NAME_MIN + strlen(text) + 1;
    memcpy(s->name.addr.sun_path, text, min(strlen(text) + 1, sizeof(name->addr.sun_path)));
    return 0;
}

static long bind_abstract(struct socket *s, const struct socket_name *name)
{
    if (find_abstract(s, name))
        return -EADDRINUSE;
    s->name = *name;
    return 0;
}

// A free abstract name of five digits, for who binds to no name.
static long autobind(struct socket *s)
{
    static u32 next;
    struct socket_name name = {.addr.sun_family = AF_UNIX};
    char digits[AUTOBIND_DIGITS + 1];

    name.len = SOCKET_NAME_MIN + 1 + AUTOBIND_DIGITS;
    do {
        snprintf(digits, sizeof(digits), "%05x", next++ & 0xfffff);
        memcpy(name.addr.sun_path + 1, digits, AUTOBIND_DIGITS);
    } while (find_abstract(s, &name));
    return bind_abstract(s, &name);
}

long socket_bind(struct socket *s, const struct socket_name *name)
{
    bool unnamed = name->len == SOCKET_NAME_MIN && name->addr.sun_family == AF_UNIX;
    long err = unnamed ? 0 : socket_name_check(name);

    if (err)
        return err;
    if (s->name.len > SOCKET_NAME_MIN)
        return unnamed ? 0 : -EINVAL;
    if (unnamed)
        err = autobind(s);
    else
        err = name->addr.sun_path[0] ? bind_path(s, name) : bind_abstract(s, name);
    if (!err)
        list_append(&bound, &s->bound_link);
    return err;
}

void socket_unbind(struct socket *s)
{
    list_remove(&s->bound_link);
    path_put(&s->path);
    s->path = (struct path){};
}
