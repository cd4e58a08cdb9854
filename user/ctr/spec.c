#include "user/ctr/spec.h"
#include "user/ctr/config.h"
#include "user/ctr/jsonout.h"
#include <string.h>

static const char default_path[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static const char *const default_capabilities[] = {
    "CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FSETID",  "CAP_FOWNER",           "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP",      "CAP_SETFCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
    "CAP_KILL",
};

static const struct default_mount {
    const char *destination, *type, *source, *options; // options: with commas
} default_mounts[] = {
    {"/proc", "proc", "proc", "nosuid,noexec,nodev"},
    {"/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=64k"},
    {"/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620"},
    {"/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=8m"},
    {"/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,ro"},
};

static char *const default_masked[] = {"/proc/kcore", "/proc/keys", "/proc/timer_list",
                                       "/proc/sched_debug", "/sys/firmware"};
static char *const default_readonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                         "/proc/sysrq-trigger"};

// The value of NAME= replaces an earlier one of the same name.
static void set_env(struct list_of_text *env, const char *setting)
{
    size_t name = strcspn(setting, "=");
    for (int i = 0; i < env->count; i++) {
        if (strcspn(env->items[i], "=") == name && strncmp(env->items[i], setting, name) == 0) {
            env->items[i] = copy_text(setting, strlen(setting));
            return;
        }
    }
    list_add(env, setting);
}

static void write_env(struct json_out *out, const struct image *image,
                      const struct run_options *options)
{
    struct list_of_text env = {0};
    list_add(&env, default_path);
    if (options->terminal)
        list_add(&env, "TERM=xterm");
    for (int i = 0; i < image->env.count; i++)
        set_env(&env, image->env.items[i]);
    for (int i = 0; i < options->env.count; i++)
        set_env(&env, options->env.items[i]);
    out_texts(out, "env", env.items, env.count);
}

static int edit_set(uint64_t *set, const struct list_of_text *names, bool add, const char *option)
{
    for (int i = 0; i < names->count; i++) {
        int number = capability_number(names->items[i]);
        bool all = strcmp(names->items[i], "ALL") == 0;
        if (number < 0 && !all)
            return fail("%s %s: no such capability", option, names->items[i]);
        uint64_t bits = all ? ~(uint64_t)0 : (uint64_t)1 << number;
        *set = add ? *set | bits : *set & ~bits;
    }
    return 0;
}

static int write_capabilities(struct json_out *out, const struct run_options *options)
{
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    uint64_t set = 0;
    for (size_t i = 0; i < sizeof default_capabilities / sizeof *default_capabilities; i++)
        set |= (uint64_t)1 << capability_number(default_capabilities[i]);
    if (edit_set(&set, &options->cap_drop, false, "--cap-drop") ||
        edit_set(&set, &options->cap_add, true, "--cap-add"))
        return -1;
    out_open(out, "capabilities", '{');
    for (int i = 0; i < 3; i++) {
        const char *name;
        out_open(out, sets[i], '[');
        for (int n = 0; (name = capability_name(n)); n++)
            if (set >> n & 1)
                out_text(out, NULL, name);
        out_close(out, ']');
    }
    out_close(out, '}');
    return 0;
}

static int write_process(struct json_out *out, const struct image *image,
                         const struct run_options *options, struct user_ids user)
{
    struct list_of_text args = {0};
    for (int i = 0; i < image->entrypoint.count; i++)
        list_add(&args, image->entrypoint.items[i]);
    for (int i = 0; i < options->arg_count; i++)
        list_add(&args, options->args[i]);
    for (int i = 0; !options->arg_count && i < image->cmd.count; i++)
        list_add(&args, image->cmd.items[i]);
    if (!args.count)
        return fail("image %s names no command: give one", image->name);
    const char *cwd = options->working_dir ? options->working_dir : image->working_dir;
    out_open(out, "process", '{');
    out_bool(out, "terminal", options->terminal);
    out_open(out, "user", '{');
    out_int(out, "uid", user.uid);
    out_int(out, "gid", user.gid);
    out_close(out, '}');
    out_texts(out, "args", args.items, args.count);
    write_env(out, image, options);
    out_text(out, "cwd", *cwd ? cwd : "/");
    if (write_capabilities(out, options))
        return -1;
    out_bool(out, "noNewPrivileges", true);
    out_close(out, '}');
    return 0;
}

static void write_options(struct json_out *out, const char *options)
{
    out_open(out, "options", '[');
    while (*options) {
        size_t length = strcspn(options, ",");
        out_text(out, NULL, copy_text(options, length));
        options += length + (options[length] == ',');
    }
    out_close(out, ']');
}

static void write_mount(struct json_out *out, const struct default_mount *mount)
{
    out_open(out, NULL, '{');
    out_text(out, "destination", mount->destination);
    out_text(out, "type", mount->type);
    out_text(out, "source", mount->source);
    write_options(out, mount->options);
    out_close(out, '}');
}

// "SOURCE:DESTINATION[:ro]"
static int write_volume(struct json_out *out, const char *volume)
{
    const char *colon = strchr(volume, ':'), *second = colon ? strchr(colon + 1, ':') : NULL;
    const char *options = second ? second + 1 : "rw";
    if (!colon || colon == volume || colon[1] != '/')
        return fail("-v %s: expected SOURCE:DESTINATION[:ro], both absolute", volume);
    if (strcmp(options, "ro") != 0 && strcmp(options, "rw") != 0)
        return fail("-v %s: \"%s\" is neither ro nor rw", volume, options);
    size_t length = second ? (size_t)(second - colon - 1) : strlen(colon + 1);
    struct default_mount mount = {
        .destination = copy_text(colon + 1, length),
        .type = "bind",
        .source = copy_text(volume, (size_t)(colon - volume)),
        .options = format_text("rbind,nosuid,nodev,%s", options),
    };
    write_mount(out, &mount);
    return 0;
}

static int write_mounts(struct json_out *out, const struct run_options *options)
{
    out_open(out, "mounts", '[');
    for (size_t i = 0; i < sizeof default_mounts / sizeof *default_mounts; i++)
        write_mount(out, &default_mounts[i]);
    for (int i = 0; i < options->volumes.count; i++)
        if (write_volume(out, options->volumes.items[i]))
            return -1;
    out_close(out, ']');
    return 0;
}

static void write_limit(struct json_out *out, const char *part, const char *key, int64_t value)
{
    if (value == NO_LIMIT)
        return;
    out_open(out, part, '{');
    out_int(out, key, value);
    out_close(out, '}');
}

static void write_resources(struct json_out *out, const struct run_options *options)
{
    out_open(out, "resources", '{');
    write_limit(out, "memory", "limit", options->memory);
    write_limit(out, "pids", "limit", options->pids);
    if (options->cpu_quota != NO_LIMIT) {
        out_open(out, "cpu", '{');
        out_int(out, "quota", options->cpu_quota);
        out_int(out, "period", 100000);
        out_close(out, '}');
    }
    if (options->cpu_weight != NO_LIMIT) {
        out_open(out, "unified", '{');
        out_text(out, "cpu.weight", format_text("%lld", (long long)options->cpu_weight));
        out_close(out, '}');
    }
    out_close(out, '}');
}

static void write_linux(struct json_out *out, const struct run_options *options, const char *id,
                        const struct spec_device *devices, int device_count)
{
    out_open(out, "linux", '{');
    out_open(out, "namespaces", '[');
    for (int kind = NS_CGROUP; kind < NS_COUNT; kind++) {
        out_open(out, NULL, '{');
        out_text(out, "type", namespace_kinds[kind].oci_name);
        out_close(out, '}');
    }
    out_close(out, ']');
    write_resources(out, options);
    out_open(out, "devices", '[');
    for (int i = 0; i < device_count; i++) {
        const char type[2] = {devices[i].type, '\0'};
        out_open(out, NULL, '{');
        out_text(out, "path", devices[i].path);
        out_text(out, "type", type);
        out_int(out, "major", devices[i].major);
        out_int(out, "minor", devices[i].minor);
        out_close(out, '}');
    }
    out_close(out, ']');
    out_text(out, "cgroupsPath", format_text("/ctr/%s", id));
    out_texts(out, "maskedPaths", default_masked, sizeof default_masked / sizeof *default_masked);
    out_texts(out, "readonlyPaths", default_readonly,
              sizeof default_readonly / sizeof *default_readonly);
    out_close(out, '}');
}

char *spec_write(const struct image *image, const struct run_options *options, const char *id,
                 struct user_ids user, const struct spec_device *devices, int device_count)
{
    struct json_out out = {0};
    out_open(&out, NULL, '{');
    out_text(&out, "ociVersion", "1.0.2");
    out_open(&out, "root", '{');
    out_text(&out, "path", "rootfs");
    out_bool(&out, "readonly", options->read_only);
    out_close(&out, '}');
    out_text(&out, "hostname", options->hostname ? options->hostname : id);
    if (write_process(&out, image, options, user) || write_mounts(&out, options))
        return NULL;
    write_linux(&out, options, id, devices, device_count);
    out_close(&out, '}');
    return out.buffer.data;
}
