#include "user/ctr/environment.h"
#include "user/ctr/rootfs.h"
#include "user/ctr/sys.h"
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <sys/sysmacros.h>

#define KEPT_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC) // the same bits in statfs

static const struct device_config default_devices[] = {
    {"/dev/null", 'c', 1, 3, 0666, 0, 0},    {"/dev/zero", 'c', 1, 5, 0666, 0, 0},
    {"/dev/full", 'c', 1, 7, 0666, 0, 0},    {"/dev/random", 'c', 1, 8, 0666, 0, 0},
    {"/dev/urandom", 'c', 1, 9, 0666, 0, 0}, {"/dev/tty", 'c', 5, 0, 0666, 0, 0},
};
#define DEFAULT_DEVICES (int)(sizeof default_devices / sizeof *default_devices)

static const struct device_config *device_at(const struct config *config, int i)
{
    return i < DEFAULT_DEVICES ? &default_devices[i] : &config->devices[i - DEFAULT_DEVICES];
}

int stage_devices(const struct config *config, const char *stage)
{
    if (make_dir(stage, 0755) || mount("ctr", stage, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755"))
        return fail_errno("devices: tmpfs on %s", stage);
    for (int i = 0; i < DEFAULT_DEVICES + config->device_count; i++) {
        const struct device_config *device = device_at(config, i);
        const char *node = format_text("%s/%d", stage, i);
        unsigned type = device->type == 'c' ? S_IFCHR : device->type == 'b' ? S_IFBLK : S_IFIFO;
        if (mknodat(AT_FDCWD, node, type, makedev(device->major, device->minor)) ||
            chmod(node, device->mode) || chown(node, device->uid, device->gid))
            return fail_errno("device %s", device->path);
    }
    return 0;
}

// Changes the flags of the mount that is now on `path`, found anew.
static int remount(int root, const char *path, unsigned long flags)
{
    int fd = open_in_root(root, path);
    if (fd < 0)
        return -1;
    int result = mount(NULL, fd_path(fd), NULL, flags, NULL);
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

static int bind_fd(int source, int target, unsigned long recursive)
{
    return mount(fd_path(source), fd_path(target), NULL, MS_BIND | recursive, NULL);
}

static int add_bind(const struct environment *env, int root, const struct mount_config *mount)
{
    struct stat stat;
    const char *source = mount->source;
    if (*source != '/')
        source = format_text("%s/%s", env->bundle, source);
    int from = open(source, O_PATH | O_CLOEXEC);
    if (from < 0 || fstat(from, &stat))
        return fail_errno("%s: source %s", mount->json_path, source);
    int to = open_target(root, mount->destination, S_ISDIR(stat.st_mode));
    if (to < 0)
        return -1;
    unsigned long flags = mount->flags & ~(unsigned long)(MS_BIND | MS_REC);
    if (bind_fd(from, to, mount->flags & MS_REC) ||
        (flags && remount(root, mount->destination, MS_REMOUNT | MS_BIND | flags)))
        return fail_errno("%s: bind mount on %s", mount->json_path, mount->destination);
    close(from);
    close(to);
    return 0;
}

// Linux's other places for these stay empty directories on a kernel without them: no program can
// miss what is not there.
static bool may_lack(const char *type)
{
    return errno == ENODEV && (strcmp(type, "sysfs") == 0 || strcmp(type, "mqueue") == 0);
}

static int add_mount(const struct environment *env, int root, const struct mount_config *m)
{
    const char *type = strcmp(m->type, "cgroup") == 0 ? "cgroup2" : m->type;
    unsigned long flags = m->flags;
    if (flags & MS_BIND)
        return add_bind(env, root, m);
    if (strcmp(type, "tmpfs") == 0)
        flags |= MS_NODEV;
    int to = open_target(root, m->destination, true);
    if (to < 0)
        return -1;
    if (mount(m->source, fd_path(to), type, flags, m->data) && !may_lack(type))
        return fail_errno("%s: mounting %s on %s", m->json_path, type, m->destination);
    close(to);
    return 0;
}

static int add_mounts(const struct environment *env, int root)
{
    for (int i = 0; i < env->config->mount_count; i++) {
        const struct mount_config *mount = &env->config->mounts[i];
        if (add_mount(env, root, mount))
            return -1;
        if (mount->propagation && remount(root, mount->destination, mount->propagation))
            return fail_errno("%s: propagation of %s", mount->json_path, mount->destination);
    }
    return 0;
}

static int bind_path(int root, const char *source, const char *destination)
{
    int from = open(source, O_PATH | O_CLOEXEC), to = open_target(root, destination, false);
    if (from < 0 || to < 0 || bind_fd(from, to, 0))
        return fail_errno("%s on %s", source, destination);
    close(from);
    close(to);
    return 0;
}

static int add_devices(const struct environment *env, int root)
{
    static const char *const links[][2] = {
        {"/dev/fd", "/proc/self/fd"},       {"/dev/stdin", "/proc/self/fd/0"},
        {"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
        {"/dev/ptmx", "pts/ptmx"},
    };
    for (int i = 0; i < DEFAULT_DEVICES + env->config->device_count; i++)
        if (bind_path(root, format_text("%s/%d", env->devices, i), device_at(env->config, i)->path))
            return -1;
    if (env->console && bind_path(root, env->console, "/dev/console"))
        return -1;
    char clean[PATH_SIZE];
    if (resolve_in(root, "/dev", PATH_IN_ROOT, false, clean))
        return -1;
    int dev = open_beneath(root, clean, O_PATH | O_DIRECTORY);
    if (dev < 0)
        return fail_errno("/dev");
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (symlinkat(links[i][1], dev, links[i][0] + 5) && errno != EEXIST && errno != EROFS)
            return fail_errno("%s", links[i][0]);
    close(dev);
    return 0;
}

static int mask(int root, const char *path)
{
    struct stat stat;
    int fd = open_in_root(root, path);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail_errno("linux.maskedPaths: %s", path);
    if (fstat(fd, &stat))
        return fail_errno("linux.maskedPaths: %s", path);
    int result = S_ISDIR(stat.st_mode)
                     ? mount("tmpfs", fd_path(fd), "tmpfs", MS_RDONLY | MS_NODEV, "mode=555")
                     : mount("/dev/null", fd_path(fd), NULL, MS_BIND, NULL);
    if (result)
        fail_errno("linux.maskedPaths: %s", path);
    close(fd);
    return result;
}

static int make_read_only(int root, const char *path)
{
    struct statfs statfs;
    int fd = open_in_root(root, path);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0
                                                   : fail_errno("linux.readonlyPaths: %s", path);
    unsigned long flags = fstatfs(fd, &statfs) ? 0 : (unsigned long)statfs.f_flags & KEPT_FLAGS;
    int result = bind_fd(fd, fd, MS_REC);
    if (!result)
        result = remount(root, path, MS_REMOUNT | MS_BIND | MS_RDONLY | flags);
    if (result)
        fail_errno("linux.readonlyPaths: %s", path);
    close(fd);
    return result;
}

static int restrict_paths(const struct config *config, int root)
{
    for (int i = 0; i < config->masked_paths.count; i++)
        if (mask(root, config->masked_paths.items[i]))
            return -1;
    for (int i = 0; i < config->readonly_paths.count; i++)
        if (make_read_only(root, config->readonly_paths.items[i]))
            return -1;
    unsigned long flags = MS_NODEV | (config->root_readonly ? MS_RDONLY : 0);
    if (mount(NULL, fd_path(root), NULL, MS_REMOUNT | MS_BIND | flags, NULL))
        return fail_errno("root: remounting");
    return 0;
}

// A working directory that is not there is made, as container engines do.
static int make_cwd(const struct config *config, int root)
{
    if (config->root_readonly)
        return 0;
    int fd = open_target(root, config->process.cwd, true);
    return fd < 0 ? -1 : close(fd);
}

// The old root lands on top of the new one, and is taken off it.
static int pivot(int root)
{
    if (fchdir(root) || syscall(__NR_pivot_root, ".", ".") || umount2(".", MNT_DETACH) ||
        chdir("/"))
        return fail_errno("pivot_root");
    return 0;
}

int environment_enter(const struct environment *env)
{
    if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) ||
        mount(env->rootfs, env->rootfs, NULL, MS_BIND | MS_REC, NULL))
        return fail_errno("root: %s", env->rootfs);
    int root = open(env->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return fail_errno("root: %s", env->rootfs);
    int result = add_mounts(env, root) || add_devices(env, root) || make_cwd(env->config, root) ||
                         restrict_paths(env->config, root) || pivot(root)
                     ? -1
                     : 0;
    close(root);
    return result;
}
