// From a place to its text: getcwd(2), /proc/PID/{cwd,exe,fd,maps,mountinfo}.
#include "kernel/fs/dentry.h"
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"

struct text {
    char *start, *buf; // text grows down from the end of buf
};

static bool prepend(struct text *t, const char *s, size_t len)
{
    if ((size_t)(t->start - t->buf) < len)
        return false;
    t->start -= len;
    memcpy(t->start, s, len);
    return true;
}

static const struct {
    const char *text;
    size_t len;
} unreachable = {"(unreachable)", 13}, deleted = {" (deleted)", 10};

char *path_text(const struct path *p, const struct path *root, char *buf, size_t size)
{
    struct text t = {buf + size, buf};
    const struct mount *m = p->mount;
    const struct dentry *d = p->dentry;
    bool fits = prepend(&t, "", 1);

    if (d->deleted)
        fits = fits && prepend(&t, deleted.text, deleted.len);
    const char *end = t.start;
    while (fits && !(m == root->mount && d == root->dentry)) {
        if (d == m->root || d == d->parent) {
            if (!m->parent) {
                bool at_root = m->mnt_ns && m == m->mnt_ns->root;
                if (t.start == end)
                    fits = prepend(&t, "/", 1);
                if (!(m->flags & MS_KERNMOUNT) && (!at_root || d != root->dentry))
                    fits = fits && prepend(&t, unreachable.text, unreachable.len);
                return fits ? t.start : ERR_PTR(-ENAMETOOLONG);
            }
            d = m->mountpoint;
            m = m->parent;
            continue;
        }
        fits = prepend(&t, d->name, d->len) && prepend(&t, "/", 1);
        d = d->parent;
    }
    if (fits && t.start == end)
        fits = prepend(&t, "/", 1);
    return fits ? t.start : ERR_PTR(-ENAMETOOLONG);
}
