#include "user/lib/oci/config_parts.h"
#include <string.h>
#include <strings.h>

static const char capability_names[] =
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

static const char rlimit_names[] = "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS "
                                   "SIGPENDING MSGQUEUE NICE RTPRIO RTTIME";

// Steps to the next of `words`, which have single blanks between; its length, 0 at the end.
static size_t next_word(const char **word)
{
    *word += strcspn(*word, " ");
    *word += **word == ' ';
    return strcspn(*word, " ");
}

// Which of `words` the name is, without its prefix; -1 if none.
static int number_of(const char *name, const char *prefix, const char *words)
{
    int number = 0;
    if (strncasecmp(name, prefix, strlen(prefix)) == 0)
        name += strlen(prefix);
    for (size_t n = strcspn(words, " "); n; n = next_word(&words), number++)
        if (strncasecmp(name, words, n) == 0 && !name[n])
            return number;
    return -1;
}

int capability_number(const char *name)
{
    return number_of(name, "CAP_", capability_names);
}

const char *capability_name(int number)
{
    const char *name = capability_names;
    size_t n = strcspn(name, " ");
    while (n && number--)
        n = next_word(&name);
    return n ? format_text("CAP_%.*s", (int)n, name) : NULL;
}

static uint64_t parse_set(const struct json *object, const char *key)
{
    uint64_t set = 0;
    struct json array = json_array(object, key), item;
    struct json_walk walk = {0};
    while (json_next(&array, &walk, &item)) {
        const char *name = json_as_text(&item);
        int number = capability_number(name);
        if (number < 0)
            json_fail(&item, "\"%s\" is no capability", name);
        else
            set |= (uint64_t)1 << number;
    }
    return set;
}

static void parse_capabilities(struct capability_sets *sets, const struct json *process)
{
    struct json object = json_object(process, "capabilities");
    sets->bounding = parse_set(&object, "bounding");
    sets->effective = parse_set(&object, "effective");
    sets->inheritable = parse_set(&object, "inheritable");
    sets->permitted = parse_set(&object, "permitted");
    sets->ambient = parse_set(&object, "ambient");
}

static void parse_rlimits(struct process_config *process, const struct json *object)
{
    struct json array = json_array(object, "rlimits"), item;
    struct json_walk walk = {0};
    process->rlimits = alloc((json_count(&array) + 1) * sizeof *process->rlimits);
    while (json_next(&array, &walk, &item)) {
        const char *type = json_need_text(&item, "type");
        struct rlimit_config *limit = &process->rlimits[process->rlimit_count++];
        struct json at = json_member(&item, "type");
        limit->resource = number_of(type, "RLIMIT_", rlimit_names);
        limit->soft = (uint64_t)json_need_int(&item, "soft", -1, INT64_MAX);
        limit->hard = (uint64_t)json_need_int(&item, "hard", -1, INT64_MAX);
        if (limit->resource < 0)
            json_fail(&at, "\"%s\" is no resource limit", type);
        if (limit->soft > limit->hard)
            json_fail(&item, "soft is above hard");
    }
}

static void parse_user(struct process_config *process, const struct json *object)
{
    struct json user = json_object(object, "user"), groups = json_array(&user, "additionalGids"),
                item;
    process->uid = (uint32_t)json_int(&user, "uid", 0, 0, UINT32_MAX - 1);
    process->gid = (uint32_t)json_int(&user, "gid", 0, 0, UINT32_MAX - 1);
    process->umask = (uint32_t)json_int(&user, "umask", -1, 0, 0777);
    process->groups = alloc((json_count(&groups) + 1) * sizeof *process->groups);
    struct json_walk walk = {0};
    while (json_next(&groups, &walk, &item))
        process->groups[process->group_count++] = (uint32_t)json_as_int(&item, 0, UINT32_MAX - 1);
}

void process_parse(struct process_config *process, const struct json *root)
{
    struct json object = json_need_object(root, "process");
    struct json args = json_member(&object, "args"), cwd = json_member(&object, "cwd");
    process->terminal = json_bool(&object, "terminal", false);
    process->no_new_privileges = json_bool(&object, "noNewPrivileges", false);
    parse_user(process, &object);
    process->args = json_texts(&object, "args");
    if (!process->args.count)
        json_fail(&args, json_present(&args) ? "empty" : "missing (an array of strings)");
    process->env = json_texts(&object, "env");
    process->cwd = json_need_text(&object, "cwd");
    if (process->cwd[0] != '/')
        json_fail(&cwd, "\"%s\" is not an absolute path", process->cwd);
    parse_capabilities(&process->capabilities, &object);
    parse_rlimits(process, &object);
}
