/*
 * A process belongs to a container when its cgroup is the container's or below it; it is a VM when
 * the kernel says that it holds vCPUs. A VM inside a container shows as a VM, and counts in its
 * container's figures too: they are the cgroup's.
 */
#include "user/worlds/sample.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_SIZE = 4096, PATH_SIZE = 320, US_PER_TICK = 10000 }; /* USER_HZ is 100 */

#define CGROUPS "/sys/fs/cgroup"
#define CONTAINERS "/run/ctr"

struct process {
    int pid;
    char name[NAME_SIZE], cgroup[NAME_SIZE * 3];
    uint64_t cpu_us, memory, syscalls, vcpus, exits;
};

/* What sample.world[i] is as a container; counters whose controller is off are added up from its
 * processes. */
struct container {
    char cgroup[NAME_SIZE * 3];
    bool count_members, sum_memory;
};

/* The file's start as a string; false if it cannot be read. */
static bool read_text(const char *path, char text[TEXT_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 0, n;

    if (fd < 0)
        return false;
    while (got < TEXT_SIZE - 1 && (n = read(fd, text + got, (size_t)(TEXT_SIZE - 1 - got))) > 0)
        got += n;
    close(fd);
    text[got] = 0;
    return got > 0;
}

/* The number behind a key at a line's start ("Key: 12" or "key 12"), or UNKNOWN. */
static uint64_t number_of(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *line = text; line && *line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, key, n))
            return strtoull(line + n, NULL, 10);
    return UNKNOWN;
}

static uint64_t read_number(const char *path, const char *key)
{
    char text[TEXT_SIZE];

    return read_text(path, text) ? number_of(text, key) : UNKNOWN;
}

static uint64_t or_zero(uint64_t value)
{
    return value == UNKNOWN ? 0 : value;
}

/* utime + stime, fields 14 and 15; the name before them may hold blanks and brackets. */
static uint64_t cpu_of(const char *stat)
{
    const char *at = strrchr(stat, ')');
    unsigned long long user, system;

    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                      &system) != 2)
        return 0;
    return (user + system) * US_PER_TICK;
}

/* A VM is called by its monitor's --name, or by the last argument, the kernel. */
static void name_vm(struct process *p)
{
    char path[PATH_SIZE], args[TEXT_SIZE] = "";
    const char *name = NULL;

    snprintf(path, sizeof(path), "/proc/%d/cmdline", p->pid);
    if (!read_text(path, args))
        return;
    for (const char *arg = args; arg < args + TEXT_SIZE && *arg; arg += strlen(arg) + 1) {
        bool named = !strcmp(arg, "--name");
        name = arg;
        if (named) {
            name = arg + strlen(arg) + 1;
            break;
        }
    }
    if (!name || !*name)
        return;
    const char *slash = strrchr(name, '/');
    snprintf(p->name, sizeof(p->name), "%.*s", NAME_SIZE - 1, slash && slash[1] ? slash + 1 : name);
}

static void read_cgroup(struct process *p)
{
    char path[PATH_SIZE], text[TEXT_SIZE];

    snprintf(path, sizeof(path), "/proc/%d/cgroup", p->pid);
    if (!read_text(path, text))
        return;
    const char *at = strstr(text, "0::");
    if (at)
        snprintf(p->cgroup, sizeof(p->cgroup), "%.*s", (int)strcspn(at + 3, "\n"), at + 3);
}

/* False for what is no world: a process that is gone or dead, a thread of the kernel. */
static bool read_process(int pid, struct process *p)
{
    char path[PATH_SIZE], stat[TEXT_SIZE], status[TEXT_SIZE];

    *p = (struct process){.pid = pid};
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (!read_text(path, stat))
        return false;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    if (!read_text(path, status))
        return false;
    uint64_t kib = number_of(status, "VmRSS:");
    if (kib == UNKNOWN)
        return false;
    const char *name = strchr(stat, '('), *end = strrchr(stat, ')');
    if (name && end)
        snprintf(p->name, sizeof(p->name), "%.*s", (int)(end - name - 1), name + 1);
    p->memory = kib * 1024;
    p->cpu_us = cpu_of(stat);
    p->syscalls = number_of(status, "VivSyscalls:");
    p->vcpus = or_zero(number_of(status, "VivVcpus:"));
    p->exits = number_of(status, "VivExits:");
    read_cgroup(p);
    if (p->vcpus)
        name_vm(p);
    return true;
}

/* The string behind "key" in JSON that ctr wrote; its strings of interest hold no escapes. */
static bool json_string(const char *text, const char *key, char *value, size_t size)
{
    char quoted[32];

    snprintf(quoted, sizeof(quoted), "\"%s\"", key);
    const char *at = strstr(text, quoted);
    if (!at)
        return false;
    at += strlen(quoted);
    at += strspn(at, " \t\n:");
    if (*at++ != '"')
        return false;
    snprintf(value, size, "%.*s", (int)strcspn(at, "\""), at);
    return true;
}

static struct world *add_world(struct sample *s)
{
    return s->count < MAX_WORLDS ? &s->world[s->count++] : NULL;
}

static void add_container(struct sample *s, const char *id, struct container *containers)
{
    char path[PATH_SIZE], text[TEXT_SIZE], status[32] = "", cgroup[NAME_SIZE * 3] = "";

    snprintf(path, sizeof(path), CONTAINERS "/%s/state.json", id);
    if (!read_text(path, text) || !json_string(text, "cgroup", cgroup, sizeof(cgroup)))
        return;
    json_string(text, "status", status, sizeof(status));
    snprintf(path, sizeof(path), CGROUPS "%s/pids.current", cgroup);
    uint64_t members = read_number(path, "");
    if (!strcmp(status, "stopped") || members == 0)
        return;
    struct container *c = &containers[s->count];
    struct world *w = add_world(s);
    if (!w)
        return;
    *w = (struct world){
        .kind = WORLD_CONTAINER, .members = or_zero(members), .cpu_us = UNKNOWN, .events = UNKNOWN};
    snprintf(w->name, sizeof(w->name), "%.*s", NAME_SIZE - 1, id);
    snprintf(path, sizeof(path), CGROUPS "%s/memory.current", cgroup);
    w->memory = read_number(path, "");
    snprintf(path, sizeof(path), CGROUPS "%s/cpu.stat", cgroup);
    w->cpu_us = read_number(path, "usage_usec ");
    *c =
        (struct container){.count_members = members == UNKNOWN, .sum_memory = w->memory == UNKNOWN};
    memcpy(c->cgroup, cgroup, sizeof(cgroup));
    w->memory = or_zero(w->memory);
}

static void add_containers(struct sample *s, struct container *containers)
{
    DIR *directory = opendir(CONTAINERS);
    const struct dirent *entry;

    if (!directory)
        return;
    while ((entry = readdir(directory)))
        if (entry->d_name[0] != '.')
            add_container(s, entry->d_name, containers);
    closedir(directory);
}

static bool is_within(const char *path, const char *cgroup)
{
    size_t n = strlen(cgroup);

    return n > 1 && !strncmp(path, cgroup, n) && (!path[n] || path[n] == '/');
}

/* Adds a process to the container it is in; false if it is in none. */
static bool join_container(struct sample *s, unsigned count, const struct container *containers,
                           const struct process *p)
{
    for (unsigned i = 0; i < count; i++) {
        struct world *w = &s->world[i];
        if (!is_within(p->cgroup, containers[i].cgroup))
            continue;
        if (!w->pid || p->pid < w->pid)
            w->pid = p->pid;
        if (p->syscalls != UNKNOWN)
            w->events = or_zero(w->events) + p->syscalls;
        w->members += containers[i].count_members;
        w->memory += containers[i].sum_memory ? p->memory : 0;
        return true;
    }
    return false;
}

static void add_process(struct sample *s, const struct process *p)
{
    struct world *w = add_world(s);

    if (!w)
        return;
    *w = (struct world){
        .kind = p->vcpus ? WORLD_VM : WORLD_PROCESS,
        .pid = p->pid,
        .members = p->vcpus ? p->vcpus : 1,
        .cpu_us = p->cpu_us,
        .memory = p->memory,
        .events = p->vcpus ? p->exits : p->syscalls,
    };
    memcpy(w->name, p->name, sizeof(w->name));
}

static int by_kind_and_pid(const void *a, const void *b)
{
    const struct world *x = a, *y = b;
    static const int order[] = {[WORLD_CONTAINER] = 0, [WORLD_VM] = 1, [WORLD_PROCESS] = 2};

    return x->kind != y->kind ? order[x->kind] - order[y->kind]
                              : (x->pid > y->pid) - (x->pid < y->pid);
}

void sample_take(struct sample *s)
{
    static struct container containers[MAX_WORLDS];
    struct timespec now;
    const struct dirent *entry;
    DIR *directory = opendir("/proc");

    s->count = 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    s->time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    add_containers(s, containers);
    unsigned container_count = s->count;
    while (directory && (entry = readdir(directory))) {
        struct process p;
        if (!isdigit((unsigned char)entry->d_name[0]) || !read_process(atoi(entry->d_name), &p))
            continue;
        if (!join_container(s, container_count, containers, &p) || p.vcpus)
            add_process(s, &p);
    }
    if (directory)
        closedir(directory);
    qsort(s->world, s->count, sizeof(s->world[0]), by_kind_and_pid);
}
