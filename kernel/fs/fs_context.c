// How descriptors, cwd, root and umask follow a task through clone, unshare, setns, exec and exit.
#include "kernel/fs/fs_context.h"
#include <linux/sched.h>
#include "kernel/fs/dentry.h"
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/task/task.h"

static struct fs_context kernel_context = {.refs = 1, .umask = 0};

struct fs_context *fs_current(void)
{
    struct fs_context *fs = current() ? current()->fs : NULL;

    if (fs)
        return fs;
    if (!kernel_context.root.mount && init_mnt_ns.root) {
        kernel_context.root = (struct path){init_mnt_ns.root, init_mnt_ns.root->root};
        kernel_context.cwd = kernel_context.root;
    }
    return &kernel_context;
}

static struct fs_context *context_copy(const struct fs_context *from)
{
    struct fs_context *fs = kzalloc(sizeof(*fs));

    if (!fs)
        return NULL;
    *fs = *from;
    fs->refs = 1;
    path_get(&fs->cwd);
    path_get(&fs->root);
    return fs;
}

static void context_put(struct fs_context *fs)
{
    if (!fs || --fs->refs)
        return;
    path_put(&fs->cwd);
    path_put(&fs->root);
    kfree(fs);
}

static struct mnt_ns *mnt_ns_of(struct nsset *set)
{
    return container_of(set->ns[NS_MNT], struct mnt_ns, ns);
}

static void translate(struct fs_context *fs, struct mnt_ns *ns)
{
    path_translate(&fs->cwd, ns);
    path_translate(&fs->root, ns);
}

static int clone_task(struct task *parent, struct task *child, u64 flags)
{
    bool has_files = parent && parent->files;
    bool share_fs = has_files && (flags & CLONE_FS);

    if (has_files && (flags & CLONE_FILES)) {
        child->files = parent->files;
        child->files->refs++;
    } else
        child->files = has_files ? fdtable_copy(parent->files) : fdtable_new(0);
    if (share_fs) {
        child->fs = parent->fs;
        child->fs->refs++;
    } else {
        child->fs = context_copy(parent && parent->fs ? parent->fs : fs_current());
        if (child->fs && !parent)
            child->fs->umask = 022;
    }
    if (child->files && child->fs) {
        if (flags & CLONE_NEWNS)
            translate(child->fs, mnt_ns_of(child->nsset));
        return 0;
    }
    fdtable_put(child->files);
    context_put(child->fs);
    child->files = NULL;
    child->fs = NULL;
    return -ENOMEM;
}

static int unshare_task(u64 flags)
{
    struct task *t = current();

    if ((flags & CLONE_FILES) && t->files->refs > 1) {
        struct fdtable *copy = fdtable_copy(t->files);
        if (!copy)
            return -ENOMEM;
        fdtable_put(t->files);
        t->files = copy;
    }
    if ((flags & CLONE_FS) && t->fs->refs > 1) {
        struct fs_context *copy = context_copy(t->fs);
        if (!copy)
            return -ENOMEM;
        context_put(t->fs);
        t->fs = copy;
    }
    return 0;
}

static int mnt_ns_changed(struct ns *old, bool entered)
{
    struct task *t = current();
    struct mnt_ns *ns = mnt_ns_of(t->nsset);

    if (!entered) {
        translate(t->fs, ns);
        return 0;
    }
    struct path root = {mount_get(ns->root), dentry_get(ns->root->root)};
    path_cross_mounts(&root);
    path_put(&t->fs->root);
    path_put(&t->fs->cwd);
    t->fs->root = t->fs->cwd = root;
    path_get(&root);
    return 0;
}

static void exec_task(struct task *t)
{
    if (t->files->refs > 1) {
        struct fdtable *copy = fdtable_copy(t->files);
        if (copy) {
            fdtable_put(t->files);
            t->files = copy;
        }
    }
    fdtable_close_on_exec(t->files);
}

static void exit_task(struct task *t)
{
    struct fdtable *files = t->files;
    struct fs_context *fs = t->fs;

    t->files = NULL;
    fdtable_put(files);
    t->fs = NULL;
    context_put(fs);
}

static const struct task_file_ops ops = {
    .clone = clone_task,
    .unshare = unshare_task,
    .mnt_ns_changed = mnt_ns_changed,
    .exec = exec_task,
    .exit = exit_task,
};

void fdtable_init(void)
{
    task_file_ops = &ops;
}
