#include "user/lib/oci/spec.h"
#include "user/lib/oci/json.h"
#include <stdlib.h>
#include <string.h>

static const char default_capabilities[] =
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FSETID CAP_FOWNER CAP_SETGID CAP_SETUID CAP_SETPCAP "
    "CAP_SETFCAP CAP_NET_BIND_SERVICE CAP_SYS_CHROOT CAP_KILL";

static const char default_mounts[] =
    "    {\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\",\n"
    "     \"options\": [\"nosuid\", \"noexec\", \"nodev\"]},\n"
    "    {\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
    "     \"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=64k\"]},\n"
    "    {\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
    "     \"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", "
    "\"mode=0620\"]},\n"
    "    {\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\",\n"
    "     \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=8m\"]},\n"
    "    {\"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\",\n"
    "     \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]}";

static const char linux_part[] =
    "    \"namespaces\": [{\"type\": \"cgroup\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"},\n"
    "                   {\"type\": \"network\"}, {\"type\": \"pid\"}, {\"type\": \"mount\"}],\n"
    "    \"maskedPaths\": [\"/proc/kcore\", \"/proc/keys\", \"/proc/timer_list\", "
    "\"/proc/sched_debug\",\n"
    "                    \"/sys/firmware\"],\n"
    "    \"readonlyPaths\": [\"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\",\n"
    "                      \"/proc/sysrq-trigger\"],\n";

static void add_list(struct buffer *out, const char *key, const struct list_of_text *list)
{
    buffer_printf(out, "\"%s\": [", key);
    for (int i = 0; i < list->count; i++)
        buffer_printf(out, "%s%s", i ? ", " : "", json_quote(list->items[i]));
    buffer_printf(out, "]");
}

// The value of NAME= replaces an earlier one of the same name.
static void set_env(struct list_of_text *env, const struct list_of_text *settings)
{
    for (int i = 0; i < settings->count; i++) {
        const char *setting = settings->items[i];
        size_t name = strcspn(setting, "=");
        int at = 0;
        while (at < env->count && !(strcspn(env->items[at], "=") == name &&
                                    strncmp(env->items[at], setting, name) == 0))
            at++;
        if (at < env->count)
            env->items[at] = copy_text(setting, strlen(setting));
        else
            list_add(env, setting);
    }
}

static int edit_set(uint64_t *set, const struct list_of_text *names, bool add)
{
    for (int i = 0; i < names->count; i++) {
        int number = capability_number(names->items[i]);
        bool all = strcmp(names->items[i], "ALL") == 0;
        if (number < 0 && !all)
            return fail("%s: no such capability", names->items[i]);
        uint64_t bits = all ? ~(uint64_t)0 : (uint64_t)1 << number;
        *set = add ? *set | bits : *set & ~bits;
    }
    return 0;
}

static int add_capabilities(struct buffer *out, const struct run_options *options)
{
    struct list_of_text names = {0}, defaults = list_of_words(default_capabilities);
    uint64_t set = 0;
    const char *name;
    if (edit_set(&set, &defaults, true) || edit_set(&set, &options->cap_drop, false) ||
        edit_set(&set, &options->cap_add, true))
        return -1;
    for (int i = 0; (name = capability_name(i)); i++)
        if (set >> i & 1)
            list_add(&names, name);
    buffer_printf(out, "    \"capabilities\": {\n      ");
    add_list(out, "bounding", &names);
    buffer_printf(out, ",\n      ");
    add_list(out, "effective", &names);
    buffer_printf(out, ",\n      ");
    add_list(out, "permitted", &names);
    buffer_printf(out, "},\n");
    return 0;
}

static int add_process(struct buffer *out, const struct image_config *image,
                       const struct run_options *options, const struct spec_facts *facts)
{
    struct list_of_text args = {0}, env = {0};
    const struct list_of_text *cmd = options->args.count ? &options->args : &image->cmd;
    for (int i = 0; i < image->entrypoint.count; i++)
        list_add(&args, image->entrypoint.items[i]);
    for (int i = 0; i < cmd->count; i++)
        list_add(&args, cmd->items[i]);
    if (!args.count)
        return fail("image %s names no command: give one", options->image);
    list_add(&env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    if (options->terminal)
        list_add(&env, "TERM=xterm");
    set_env(&env, &image->env);
    set_env(&env, &options->env);
    const char *cwd = options->working_dir ? options->working_dir : image->working_dir;
    buffer_printf(out, "  \"process\": {\n    \"terminal\": %s, \"noNewPrivileges\": true,\n",
                  options->terminal ? "true" : "false");
    buffer_printf(out, "    \"user\": {\"uid\": %u, \"gid\": %u},\n    ", facts->uid, facts->gid);
    add_list(out, "args", &args);
    buffer_printf(out, ",\n    ");
    add_list(out, "env", &env);
    buffer_printf(out, ",\n");
    if (add_capabilities(out, options))
        return -1;
    buffer_printf(out, "    \"cwd\": %s\n  },\n", json_quote(*cwd ? cwd : "/"));
    return 0;
}

// "SOURCE:DESTINATION[:ro]"
static int add_volume(struct buffer *out, const char *volume)
{
    const char *colon = strchr(volume, ':'), *second = colon ? strchr(colon + 1, ':') : NULL;
    const char *mode = second ? second + 1 : "rw";
    if (*volume != '/' || !colon || colon[1] != '/')
        return fail("-v %s: expected SOURCE:DESTINATION[:ro], both absolute", volume);
    if (strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0)
        return fail("-v %s: \"%s\" is neither ro nor rw", volume, mode);
    size_t length = second ? (size_t)(second - colon - 1) : strlen(colon + 1);
    buffer_printf(out,
                  ",\n    {\"destination\": %s, \"type\": \"bind\", \"source\": %s,\n"
                  "     \"options\": [\"rbind\", \"nosuid\", \"nodev\", \"%s\"]}",
                  json_quote(copy_text(colon + 1, length)),
                  json_quote(copy_text(volume, (size_t)(colon - volume))), mode);
    return 0;
}

static void add_resources(struct buffer *out, const struct run_options *options)
{
    buffer_printf(out, "    \"resources\": {");
    const char *comma = "";
    if (options->memory != NO_LIMIT) {
        buffer_printf(out, "\"memory\": {\"limit\": %lld}", (long long)options->memory);
        comma = ", ";
    }
    if (options->pids != NO_LIMIT) {
        buffer_printf(out, "%s\"pids\": {\"limit\": %lld}", comma, (long long)options->pids);
        comma = ", ";
    }
    if (options->cpu_quota != NO_LIMIT) {
        buffer_printf(out, "%s\"cpu\": {\"quota\": %lld, \"period\": 100000}", comma,
                      (long long)options->cpu_quota);
        comma = ", ";
    }
    if (options->cpu_weight != NO_LIMIT)
        buffer_printf(out, "%s\"unified\": {\"cpu.weight\": \"%lld\"}", comma,
                      (long long)options->cpu_weight);
    buffer_printf(out, "},\n");
}

static void add_linux(struct buffer *out, const struct run_options *options,
                      const struct spec_facts *facts)
{
    buffer_printf(out, "  \"linux\": {\n%s", linux_part);
    add_resources(out, options);
    buffer_printf(out, "    \"devices\": [");
    for (int i = 0; i < options->devices.count; i++) {
        const struct device_config *device = &facts->devices[i];
        buffer_printf(out, "%s{\"path\": %s, \"type\": \"%c\", \"major\": %u, \"minor\": %u}",
                      i ? ", " : "", json_quote(device->path), device->type, device->major,
                      device->minor);
    }
    buffer_printf(out, "],\n    \"cgroupsPath\": \"/ctr/%s\"\n  }\n}\n", facts->id);
}

char *spec_write(const struct image_config *image, const struct run_options *options,
                 const struct spec_facts *facts)
{
    struct buffer out = {0};
    const char *hostname = options->hostname ? options->hostname : facts->id;
    buffer_printf(&out, "{\n  \"ociVersion\": \"1.0.2\",\n");
    buffer_printf(&out, "  \"root\": {\"path\": \"rootfs\", \"readonly\": %s},\n",
                  options->read_only ? "true" : "false");
    buffer_printf(&out, "  \"hostname\": %s,\n", json_quote(hostname));
    if (add_process(&out, image, options, facts))
        return NULL;
    buffer_printf(&out, "  \"mounts\": [\n%s", default_mounts);
    for (int i = 0; i < options->volumes.count; i++)
        if (add_volume(&out, options->volumes.items[i]))
            return NULL;
    buffer_printf(&out, "\n  ],\n");
    add_linux(&out, options, facts);
    return out.data;
}

// Field `field` (from 0) of the line of passwd or group that is named `name`, as a number.
static bool look_up(const char *text, const char *name, int field, uint32_t *number)
{
    size_t length = strlen(name);
    while (text && !(strncmp(text, name, length) == 0 && text[length] == ':')) {
        text = strchr(text, '\n');
        text += text != NULL;
    }
    for (int i = 0; text && i < field; i++) {
        text = strpbrk(text, ":\n");
        text = text && *text == ':' ? text + 1 : NULL;
    }
    char *end;
    unsigned long value = text ? strtoul(text, &end, 10) : 0;
    *number = (uint32_t)value;
    return text && end > text && value < UINT32_MAX;
}

static bool as_number(const char *text, uint32_t *number)
{
    return *text && text[strspn(text, "0123456789")] == '\0' && strlen(text) < 10 &&
           (*number = (uint32_t)strtoul(text, NULL, 10)) < UINT32_MAX;
}

int spec_find_user(struct spec_facts *facts, const char *user, const char *passwd,
                   const char *group)
{
    size_t length = strcspn(user, ":");
    const char *name = copy_text(user, length), *its_group = user[length] ? user + length + 1 : "";
    facts->uid = facts->gid = 0;
    if (*name && !as_number(name, &facts->uid) &&
        !(look_up(passwd, name, 2, &facts->uid) && look_up(passwd, name, 3, &facts->gid)))
        return fail("no user \"%s\" in the image", name);
    if (*its_group && !as_number(its_group, &facts->gid) &&
        !look_up(group, its_group, 2, &facts->gid))
        return fail("no group \"%s\" in the image", its_group);
    return 0;
}
