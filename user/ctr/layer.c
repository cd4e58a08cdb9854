// Unpacking a layer: a tar archive that is not trusted, into a directory of its own.
//
// Every name is resolved beneath that directory and opened there without following links, so
// nothing can be written outside. Whiteouts become what overlayfs knows: `.wh.NAME` a character
// device 0/0 called NAME; `.wh..wh..opq` the extended attribute trusted.overlay.opaque of its
// directory, or, where there are no attributes, a file of that very name, which Vivarium's overlay
// takes for the same. A whiteout hides what is in the layers below only, so an entry NAME of the
// same layer wins over it, and if it is a directory, it becomes opaque.
#include "user/ctr/layer.h"
#include "user/ctr/blob.h"
#include "user/ctr/rootfs.h"
#include "user/ctr/state.h"
#include "user/ctr/sys.h"
#include "user/lib/oci/tar.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

struct unpacking {
    int root, dir;    // the layer's directory; the one that holds the entry
    const char *name; // the entry in it
    char path[PATH_SIZE];
    struct tar tar;
    struct tar_entry entry;
};

static bool is_whiteout(int dir, const char *name)
{
    struct stat stat;
    return fstatat(dir, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(stat.st_mode) &&
           stat.st_rdev == 0;
}

static int make_opaque(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno("opaque directory");
    int result = sys_fsetxattr(fd, "trusted.overlay.opaque", "y", 1);
    if (result && (errno == ENOSYS || errno == ENOTSUP || errno == EOPNOTSUPP)) {
        int mark = openat(fd, OPAQUE, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (mark >= 0)
            result = close(mark);
    }
    if (result)
        fail_errno("opaque directory");
    close(fd);
    return result;
}

static int make_subdir_opaque(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail_errno("opaque directory");
    int result = make_opaque(fd);
    close(fd);
    return result;
}

static int put_whiteout(struct unpacking *u)
{
    const char *hidden = u->name + strlen(WHITEOUT);
    struct stat stat;
    if (strcmp(u->name, OPAQUE) == 0)
        return make_opaque(u->dir);
    if (starts_with(hidden, WHITEOUT) || !*hidden)
        return 0; // other marks of that prefix are notes of AUFS
    if (strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        return fail("a whiteout of \"%s\"", hidden);
    if (fstatat(u->dir, hidden, &stat, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISDIR(stat.st_mode) ? make_subdir_opaque(u->dir, hidden) : 0;
    return mknodat(u->dir, hidden, S_IFCHR, makedev(0, 0)) ? fail_errno("whiteout") : 0;
}

// Takes away what an earlier entry of the same name left; directories stay. 1 if that was a
// whiteout.
static int clear_way(struct unpacking *u)
{
    struct stat stat;
    if (fstatat(u->dir, u->name, &stat, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? 0 : fail_errno("stat");
    if (S_ISDIR(stat.st_mode) && u->entry.type == TAR_DIR)
        return 0;
    bool whiteout = is_whiteout(u->dir, u->name);
    if (unlinkat(u->dir, u->name, S_ISDIR(stat.st_mode) ? AT_REMOVEDIR : 0))
        return fail_errno("cannot be replaced");
    return whiteout;
}

static int put_file(struct unpacking *u)
{
    static char chunk[65536];
    int fd = openat(u->dir, u->name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno("file");
    long got;
    while ((got = tar_data(&u->tar, chunk, sizeof chunk)) > 0) {
        for (long done = 0; done < got;) {
            ssize_t written = write(fd, chunk + done, (size_t)(got - done));
            if (written < 0) {
                close(fd);
                return fail_errno("file");
            }
            done += written;
        }
    }
    close(fd);
    return (int)got;
}

// A link's target has to lie in the same layer, and is found there as safely as any other name.
static int put_hard_link(struct unpacking *u)
{
    char clean[PATH_SIZE];
    const char *last;
    if (resolve_in(u->root, u->entry.link, PATH_BENEATH, true, clean)) {
        char *why = copy_text(error_text, strlen(error_text));
        return fail("hard link to \"%s\": %s", u->entry.link, why);
    }
    int dir = open_parent(u->root, clean, false, &last);
    int result = dir < 0 ? -1 : linkat(dir, last, u->dir, u->name, 0);
    if (result)
        fail_errno("hard link to \"%s\"", u->entry.link);
    if (dir >= 0)
        close(dir);
    return result;
}

static int put_dir(struct unpacking *u, bool over_whiteout)
{
    if (mkdirat(u->dir, u->name, 0700) && errno != EEXIST)
        return fail_errno("directory");
    return over_whiteout ? make_subdir_opaque(u->dir, u->name) : 0;
}

static int put_thing(struct unpacking *u, bool over_whiteout)
{
    const struct tar_entry *entry = &u->entry;
    switch (entry->type) {
    case TAR_FILE:
        return put_file(u);
    case TAR_HARD_LINK:
        return put_hard_link(u);
    case TAR_SYMLINK:
        return symlinkat(entry->link, u->dir, u->name) ? fail_errno("symbolic link") : 0;
    case TAR_DIR:
        return put_dir(u, over_whiteout);
    case TAR_CHAR:
    case TAR_BLOCK:
        if (!entry->major && !entry->minor)
            return fail("a device 0/0, which overlayfs would take for a whiteout");
        break;
    case TAR_FIFO:
        break;
    }
    unsigned type = entry->type == TAR_CHAR    ? S_IFCHR
                    : entry->type == TAR_BLOCK ? S_IFBLK
                                               : S_IFIFO;
    return mknodat(u->dir, u->name, type, makedev(entry->major, entry->minor)) ? fail_errno("node")
                                                                               : 0;
}

static int set_metadata(struct unpacking *u)
{
    const struct tar_entry *entry = &u->entry;
    if (entry->type == TAR_HARD_LINK)
        return 0;
    if (fchownat(u->dir, u->name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW))
        return fail_errno("owner");
    if (entry->type != TAR_SYMLINK && fchmodat(u->dir, u->name, entry->mode, 0))
        return fail_errno("mode");
    const struct timespec times[2] = {{.tv_sec = entry->mtime}, {.tv_sec = entry->mtime}};
    utimensat(u->dir, u->name, times, AT_SYMLINK_NOFOLLOW); // where that cannot be done, they stay
    return 0;
}

static int put_entry(struct unpacking *u)
{
    if (resolve_in(u->root, u->entry.name, PATH_BENEATH, true, u->path))
        return -1;
    if (!*u->path && u->entry.type == TAR_DIR)
        return fchmodat(u->root, ".", u->entry.mode, 0) ? fail_errno("mode") : 0;
    if (!*u->path)
        return fail("the layer's root, but no directory");
    u->dir = open_parent(u->root, u->path, true, &u->name);
    if (u->dir < 0)
        return fail_errno("its directory");
    int result;
    if (starts_with(u->name, WHITEOUT))
        result = put_whiteout(u);
    else {
        int cleared = clear_way(u);
        result = cleared < 0 || put_thing(u, cleared == 1) || set_metadata(u) ? -1 : 0;
    }
    close(u->dir);
    return result;
}

static int unpack_into(const char *directory, const struct layer *layer,
                       struct layer_stream *stream)
{
    struct unpacking *u = alloc(sizeof *u);
    u->tar = (struct tar){.read = layer_stream_read, .context = stream};
    u->root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (u->root < 0)
        return fail_errno("%s", directory);
    int got;
    while ((got = tar_next(&u->tar, &u->entry)) > 0 && put_entry(u) == 0)
        ;
    close(u->root);
    if (got) {
        char *why = copy_text(error_text, strlen(error_text));
        return got < 0 ? fail("layer %s: %s", layer->digest, why)
                       : fail("layer %s: entry \"%s\": %s", layer->digest, u->entry.name, why);
    }
    return 0;
}

const char *layer_unpack(const struct image *image, const struct layer *layer)
{
    const char *store = format_text("%s/layers", state_root());
    const char *place =
        format_text("%s/%s", store, layer->diff_id + strcspn(layer->diff_id, ":") + 1);
    const char *work = format_text("%s/.unpack.%d", store, (int)getpid());
    struct stat stat_of;
    if (!starts_with(layer->diff_id, "sha256:") || strchr(layer->diff_id, '/')) {
        fail("%s: \"%s\" is no diff_id", image->name, layer->diff_id);
        return NULL;
    }
    if (stat(place, &stat_of) == 0)
        return place;
    struct layer_stream *stream = layer_stream_open(image, layer);
    if (!stream)
        return NULL;
    int result = make_dir(store, 0700) || make_dir(work, 0755) ? -1 : 0;
    if (!result)
        result = unpack_into(work, layer, stream);
    if (!result)
        result = layer_stream_close(stream, layer);
    if (!result && rename(work, place) && errno != EEXIST && errno != ENOTEMPTY)
        result = fail_errno("%s", place);
    if (result || stat(work, &stat_of) == 0) {
        char *why = copy_text(error_text, strlen(error_text));
        remove_tree(work);
        fail("%s", why);
    }
    return result ? NULL : place;
}
