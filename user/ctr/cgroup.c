#include "user/ctr/cgroup.h"
#include "user/ctr/sys.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const char *cgroup_mount_point(void)
{
    static char *found;
    char *mounts = found ? NULL : read_file_at(AT_FDCWD, "/proc/mounts", 1 << 20, NULL);
    if (found)
        return found;
    for (char *line = mounts ? strtok(mounts, "\n") : NULL; line; line = strtok(NULL, "\n")) {
        char place[1024], type[64];
        if (sscanf(line, "%*s %1023s %63s", place, type) == 2 && strcmp(type, "cgroup2") == 0)
            return found = copy_text(place, strlen(place));
    }
    if (mounts)
        fail("no cgroup2 file system is mounted: mount -t cgroup2 none /sys/fs/cgroup");
    return NULL;
}

static const char *file_of(const char *path, const char *file)
{
    return format_text("%s%s/%s", cgroup_mount_point(), path, file);
}

static void enable_controllers(const char *path)
{
    static const char *const names[] = {"cpu", "memory", "pids"};
    char *there = read_file_at(AT_FDCWD, file_of(path, "cgroup.controllers"), 4096, NULL);
    for (int i = 0; there && i < 3; i++)
        if (strstr(there,
                   names[i])) // where it cannot be enabled, a limit that needs it will say so
            write_file(file_of(path, "cgroup.subtree_control"), format_text("+%s", names[i]));
}

static int set(const char *path, const char *file, const char *value)
{
    struct stat stat_of;
    const char *name = file_of(path, file);
    if (stat(name, &stat_of) && errno == ENOENT)
        return fail("%s: the cgroup file system has no such controller or file", name);
    return write_file(name, value) ? fail_errno("%s: writing \"%s\"", name, value) : 0;
}

static int set_number(const char *path, const char *file, int64_t value)
{
    if (value == NO_LIMIT)
        return 0;
    return set(path, file, value < 0 ? "max" : format_text("%lld", (long long)value));
}

static int set_limits(const char *path, const struct resources_config *r)
{
    if (set_number(path, "memory.max", r->memory_max) ||
        set_number(path, "memory.low", r->memory_low) ||
        set_number(path, "pids.max", r->pids_max) || set_number(path, "cpu.weight", r->cpu_weight))
        return -1;
    if (r->cpu_quota != NO_LIMIT) {
        const char *quota = r->cpu_quota < 0 ? "max" : format_text("%lld", (long long)r->cpu_quota);
        if (set(path, "cpu.max", format_text("%s %lld", quota, (long long)r->cpu_period)))
            return -1;
    }
    for (int i = 0; i < r->unified.count; i += 2)
        if (set(path, r->unified.items[i], r->unified.items[i + 1]))
            return -1;
    return 0;
}

bool cgroup_populated(const char *path)
{
    char *events = read_file_at(AT_FDCWD, file_of(path, "cgroup.events"), 4096, NULL);
    return events && strstr(events, "populated 1");
}

static bool clean(const char *path)
{
    return path[0] == '/' && path[1] && !strstr(path, "/.") && !strstr(path, "//");
}

int cgroup_make(const char *path, const struct resources_config *resources)
{
    if (!clean(path))
        return fail("linux.cgroupsPath: \"%s\" is not a clean absolute path", path);
    if (!cgroup_mount_point())
        return -1;
    for (const char *end = path; end; end = strchr(end + 1, '/')) {
        const char *above = copy_text(path, (size_t)(end - path));
        if (*above && make_dir(file_of(above, ""), 0755))
            return -1;
        enable_controllers(above);
    }
    if (make_dir(file_of(path, ""), 0755))
        return -1;
    if (cgroup_populated(path))
        return fail("cgroup %s has processes in it already", path);
    return set_limits(path, resources);
}

int cgroup_add(const char *path, int pid)
{
    return set(path, "cgroup.procs", format_text("%d", pid));
}

int cgroup_kill(const char *path)
{
    return set(path, "cgroup.kill", "1");
}

// Removes the children of directory `name`, deepest first, then itself.
static int remove_level(const char *name)
{
    DIR *dir = opendir(name);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        struct stat stat_of;
        const char *child = format_text("%s/%s", name, entry->d_name);
        if (entry->d_name[0] != '.' && lstat(child, &stat_of) == 0 && S_ISDIR(stat_of.st_mode))
            remove_level(child);
    }
    if (dir)
        closedir(dir);
    return rmdir(name);
}

int cgroup_remove(const char *path)
{
    if (!clean(path) || !cgroup_mount_point())
        return 0;
    const char *name = format_text("%s%s", cgroup_mount_point(), path);
    for (int tries = 0; tries < 200; tries++) {
        if (remove_level(name) == 0 || errno == ENOENT)
            return 0;
        if (errno != EBUSY)
            break;
        sleep_ms(10);
    }
    return fail_errno("cannot remove cgroup %s", path);
}
