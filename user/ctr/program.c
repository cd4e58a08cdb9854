#include "user/ctr/program.h"
#include "user/ctr/sys.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CLIMB 4000 // bytes of "./../../…"

static int drop_bounding(uint64_t kept)
{
    for (int i = 0; i < 64; i++)
        if (!(kept >> i & 1) && prctl(PR_CAPBSET_DROP, (unsigned long)i, 0L, 0L, 0L)) {
            if (errno == EINVAL) // behind the last that the kernel knows
                break;
            return fail_errno("process.capabilities.bounding");
        }
    return 0;
}

static int set_ids(const struct process_config *process)
{
    if (prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L))
        return fail_errno("keepcaps");
    if (setgroups((size_t)process->group_count, process->groups))
        return fail_errno("process.user.additionalGids");
    if (setresgid(process->gid, process->gid, process->gid))
        return fail_errno("process.user.gid: %u", process->gid);
    if (setresuid(process->uid, process->uid, process->uid))
        return fail_errno("process.user.uid: %u", process->uid);
    return 0;
}

static int set_capabilities(const struct capability_sets *sets)
{
    uint64_t have = sys_permitted(); // what this process lacks itself it cannot give
    if (sys_capset(sets->effective & have, sets->permitted & have, sets->inheritable & have))
        return fail_errno("process.capabilities");
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L);
    uint64_t ambient = sets->ambient & sets->permitted & sets->inheritable & have;
    for (int i = 0; i < 64; i++)
        if (ambient >> i & 1 &&
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)i, 0L, 0L))
            return fail_errno("process.capabilities.ambient");
    return 0;
}

// Whether the working directory lies in this process's root: from outside, ".." leads to another
// top than "/".
static bool inside_root(void)
{
    struct stat here, up, top;
    char *path = alloc(CLIMB), *end = path + 1;
    *path = '.';
    if (stat("/", &top) || stat(path, &here))
        return false;
    while (end + 4 < path + CLIMB) {
        strcpy(end, "/..");
        end += 3;
        if (stat(path, &up))
            return false;
        if (up.st_dev == here.st_dev && up.st_ino == here.st_ino)
            return here.st_dev == top.st_dev && here.st_ino == top.st_ino;
        here = up;
    }
    return false;
}

static int enter_cwd(const char *cwd)
{
    char path[4096];
    if (chdir(cwd))
        return fail_errno("process.cwd: %s", cwd);
    if (!inside_root() || !getcwd(path, sizeof path) || path[0] != '/')
        return fail("process.cwd: %s lies outside the container's root", cwd);
    return 0;
}

int program_prepare(const struct process_config *process)
{
    for (int i = 0; i < process->rlimit_count; i++) {
        const struct rlimit_config *limit = &process->rlimits[i];
        const struct rlimit value = {.rlim_cur = limit->soft, .rlim_max = limit->hard};
        if (setrlimit(limit->resource, &value))
            return fail_errno("process.rlimits[%d]", i);
    }
    if (process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L))
        return fail_errno("process.noNewPrivileges");
    umask(process->umask == (uint32_t)-1 ? 022 : process->umask);
    if (drop_bounding(process->capabilities.bounding) || set_ids(process) ||
        set_capabilities(&process->capabilities))
        return -1;
    return enter_cwd(process->cwd);
}

static bool runnable(const char *path)
{
    struct stat stat_of;
    if (stat(path, &stat_of))
        return false;
    if (S_ISDIR(stat_of.st_mode) || access(path, X_OK)) {
        errno = EACCES;
        return false;
    }
    return true;
}

const char *program_find(const struct process_config *process, int *status)
{
    const char *name = process->args.items[0], *path = NULL;
    for (int i = 0; i < process->env.count; i++)
        if (starts_with(process->env.items[i], "PATH="))
            path = process->env.items[i] + 5;
    int error = ENOENT;
    if (strchr(name, '/')) {
        if (runnable(name))
            return name;
        error = errno;
        path = NULL;
    }
    while (path && *path && *name) {
        size_t length = strcspn(path, ":");
        const char *file = format_text("%.*s/%s", (int)length, path, name);
        if (runnable(file))
            return file;
        if (errno == EACCES)
            error = EACCES;
        path += length + (path[length] == ':');
    }
    *status = error == ENOENT || error == ENOTDIR ? 127 : 126;
    errno = error;
    fail_errno("process.args[0]: %s", name);
    return NULL;
}

_Noreturn void program_run(const struct process_config *process, const char *program)
{
    static char *none[] = {NULL};
    execve(program, process->args.items, process->env.items ? process->env.items : none);
    fail_errno("%s", program);
    dprintf(2, "ctr: %s\n", error_text);
    _exit(126);
}

int close_descriptors(const int *keep)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    if (!dir)
        return fail_errno("/proc/self/fd");
    struct list_of_text numbers = {0};
    while ((entry = readdir(dir)))
        list_add(&numbers, entry->d_name);
    closedir(dir);
    for (int i = 0; i < numbers.count; i++) {
        int fd = atoi(numbers.items[i]);
        const int *kept = keep;
        while (*kept >= 0 && *kept != fd)
            kept++;
        if (fd > 2 && *kept < 0)
            close(fd);
    }
    return 0;
}
