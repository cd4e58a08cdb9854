#include "user/ctr/state.h"
#include "user/ctr/sys.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *state_root(void)
{
    const char *root = getenv("CTR_ROOT");
    return root ? root : "/run/ctr";
}

const char *state_dir(const char *id)
{
    return format_text("%s/%s", state_root(), id);
}

bool state_valid_id(const char *id)
{
    size_t length = strlen(id);
    return length && length <= 63 && id[0] != '.' && strcmp(id, "layers") != 0 &&
           strcmp(id, "self") != 0 &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-") ==
               length;
}

int64_t process_start_time(int pid)
{
    char *text = read_file_at(AT_FDCWD, format_text("/proc/%d/stat", pid), 4096, NULL);
    char *at = text ? strrchr(text, ')') : NULL; // behind the name come the fields from number 3 on
    if (pid <= 0 || !at || strlen(at) < 4 || at[2] == 'Z' || at[2] == 'X')
        return -1;
    for (int field = 2; field < 22 && at; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at + 1, NULL, 10) : -1;
}

int state_read(struct state *state, const char *id)
{
    size_t length;
    const char *path = format_text("%s/state.json", state_dir(id));
    if (!state_valid_id(id))
        return fail("\"%s\" is no container id", id);
    char *text = read_file_at(AT_FDCWD, path, 1 << 20, &length);
    if (!text)
        return errno == ENOENT ? fail("no container \"%s\"", id) : -1;
    if (state_from_json(state, path, text, length))
        return -1;
    int64_t now = state->pid ? process_start_time(state->pid) : -1;
    if (strcmp(state->status, "creating") != 0 && (now < 0 || now != state->start_time)) {
        state->status = "stopped";
        state->pid = 0;
    }
    return 0;
}

int state_write(const struct state *state)
{
    const char *path = format_text("%s/state.json", state_dir(state->id));
    int result = replace_file(path, state_to_json(state, true));
    return result || chmod(path, 0644) == 0 ? result : fail_errno("%s", path);
}

void state_print(const struct state *state)
{
    fputs(state_to_json(state, false), stdout);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int state_list(struct list_of_text *ids)
{
    struct stat stat_of;
    struct dirent *entry;
    DIR *dir = opendir(state_root());
    if (!dir)
        return errno == ENOENT ? 0 : fail_errno("%s", state_root());
    while ((entry = readdir(dir)))
        if (state_valid_id(entry->d_name) &&
            stat(format_text("%s/state.json", state_dir(entry->d_name)), &stat_of) == 0)
            list_add(ids, entry->d_name);
    closedir(dir);
    if (ids->count)
        qsort(ids->items, (size_t)ids->count, sizeof *ids->items, by_name);
    return 0;
}
