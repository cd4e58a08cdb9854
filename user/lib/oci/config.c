// config.json as a whole; process and mounts have a file each. Missing members get the
// specification's defaults.
#include "user/lib/oci/config.h"
#include "user/lib/oci/config_parts.h"
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>

const struct namespace_kind namespace_kinds[NS_COUNT] = {
    [NS_USER] = {"user", "user", CLONE_NEWUSER},
    [NS_CGROUP] = {"cgroup", "cgroup", CLONE_NEWCGROUP},
    [NS_IPC] = {"ipc", "ipc", CLONE_NEWIPC},
    [NS_UTS] = {"uts", "uts", CLONE_NEWUTS},
    [NS_NET] = {"network", "net", CLONE_NEWNET},
    [NS_PID] = {"pid", "pid", CLONE_NEWPID},
    [NS_MNT] = {"mount", "mnt", CLONE_NEWNS},
};

static void parse_namespaces(struct config *config, const struct json *linux_part)
{
    struct json array = json_array(linux_part, "namespaces"), item;
    struct json_walk walk = {0};
    while (json_next(&array, &walk, &item)) {
        const char *type = json_need_text(&item, "type");
        int kind = 0;
        while (kind < NS_COUNT && strcmp(type, namespace_kinds[kind].oci_name) != 0)
            kind++;
        struct json at = json_member(&item, "type");
        if (kind == NS_COUNT)
            json_fail(&at, "\"%s\" is no kind of namespace", type);
        else if (config->namespaces[kind].wanted)
            json_fail(&at, "a second \"%s\" namespace", type);
        else
            config->namespaces[kind] =
                (struct namespace_config){json_text(&item, "path", NULL), true};
    }
    if (!config->namespaces[NS_MNT].wanted)
        json_fail(&array, "a container needs a \"mount\" namespace");
}

static struct id_mapping parse_mapping(const struct json *linux_part, const char *key)
{
    struct id_mapping mapping = {0};
    struct json array = json_array(linux_part, key), item;
    struct json_walk walk = {0};
    while (json_next(&array, &walk, &item)) {
        if (mapping.size)
            json_fail(&array, "more than one mapping");
        mapping.inside = (uint32_t)json_need_int(&item, "containerID", 0, UINT32_MAX - 1);
        mapping.outside = (uint32_t)json_need_int(&item, "hostID", 0, UINT32_MAX - 1);
        mapping.size = (uint32_t)json_need_int(&item, "size", 1, UINT32_MAX - 1);
    }
    return mapping;
}

static void parse_unified(struct resources_config *resources, const struct json *object)
{
    struct json item;
    struct json_walk walk = {0};
    while (json_next(object, &walk, &item)) {
        if (!*item.key || strchr(item.key, '/'))
            json_fail(&item, "not the name of a cgroup file");
        list_add(&resources->unified, item.key);
        list_add(&resources->unified, json_as_text(&item));
    }
}

static void parse_resources(struct resources_config *resources, const struct json *linux_part)
{
    struct json object = json_object(linux_part, "resources");
    struct json memory = json_object(&object, "memory"), cpu = json_object(&object, "cpu");
    struct json pids = json_object(&object, "pids"), unified = json_object(&object, "unified");
    resources->memory_max = json_int(&memory, "limit", NO_LIMIT, -1, INT64_MAX);
    resources->memory_low = json_int(&memory, "reservation", NO_LIMIT, -1, INT64_MAX);
    resources->cpu_quota = json_int(&cpu, "quota", NO_LIMIT, -1, INT64_MAX);
    resources->cpu_period = json_int(&cpu, "period", 100000, 1000, 1000000);
    resources->pids_max = json_int(&pids, "limit", NO_LIMIT, -1, INT64_MAX);
    resources->cpu_weight = NO_LIMIT;
    int64_t shares = json_int(&cpu, "shares", 0, 0, 262144);
    if (shares)
        resources->cpu_weight = 1 + (shares < 2 ? 0 : shares - 2) * 9999 / 262142;
    parse_unified(resources, &unified);
}

static void parse_devices(struct config *config, const struct json *linux_part)
{
    struct json array = json_array(linux_part, "devices"), item;
    struct json_walk walk = {0};
    config->device_count = json_count(&array);
    config->devices = alloc((config->device_count + 1) * sizeof *config->devices);
    struct device_config *device = config->devices;
    for (; json_next(&array, &walk, &item); device++) {
        const char *type = json_need_text(&item, "type");
        struct json at = json_member(&item, "type");
        if (strlen(type) != 1 || !strchr("cubp", *type))
            json_fail(&at, "\"%s\" is no type of device (c, b or p)", type);
        bool pipe = *type == 'p';
        device->type = *type == 'u' ? 'c' : *type;
        device->path = json_need_text(&item, "path");
        device->major = pipe ? 0 : (uint32_t)json_need_int(&item, "major", 0, 4095);
        device->minor = pipe ? 0 : (uint32_t)json_need_int(&item, "minor", 0, 1048575);
        device->mode = (uint32_t)json_int(&item, "fileMode", 0666, 0, 07777) & 07777;
        device->uid = (uint32_t)json_int(&item, "uid", 0, 0, UINT32_MAX - 1);
        device->gid = (uint32_t)json_int(&item, "gid", 0, 0, UINT32_MAX - 1);
    }
}

static void parse_linux(struct config *config, const struct json *root)
{
    struct json object = json_need_object(root, "linux");
    parse_namespaces(config, &object);
    config->uid_mapping = parse_mapping(&object, "uidMappings");
    config->gid_mapping = parse_mapping(&object, "gidMappings");
    struct json namespaces = json_member(&object, "namespaces");
    struct namespace_config *user = &config->namespaces[NS_USER];
    if (user->wanted && !user->path && !(config->uid_mapping.size && config->gid_mapping.size))
        json_fail(&namespaces, "a new \"user\" namespace needs uidMappings and gidMappings");
    parse_resources(&config->resources, &object);
    parse_devices(config, &object);
    config->cgroups_path = json_text(&object, "cgroupsPath", NULL);
    config->masked_paths = json_texts(&object, "maskedPaths");
    config->readonly_paths = json_texts(&object, "readonlyPaths");
}

// What would silently be weaker or different than asked for is said, not swallowed.
static void collect_warnings(struct config *config, const struct json *root)
{
    static const char *const members[][2] = {
        {NULL, "hooks"},
        {NULL, "domainname"},
        {"linux", "seccomp"},
        {"linux", "sysctl"},
        {"linux", "intelRdt"},
        {"linux", "personality"},
        {"linux", "mountLabel"},
        {"linux", "rootfsPropagation"},
        {"process", "apparmorProfile"},
        {"process", "selinuxLabel"},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        struct json holder = members[i][0] ? json_member(root, members[i][0]) : *root;
        struct json member = json_member(&holder, members[i][1]);
        if (json_present(&member))
            list_add(&config->warnings, format_text("%s: %s: not supported, ignored",
                                                    root->doc->file, json_path(&member)));
    }
}

static void check_version(const struct json *root)
{
    const char *version = json_need_text(root, "ociVersion");
    struct json at = json_member(root, "ociVersion");
    if (!root->doc->failed && !starts_with(version, "1."))
        json_fail(&at, "\"%s\" is not a version 1 of the runtime specification", version);
}

int config_parse(struct config *config, const char *file, const char *text, size_t length)
{
    struct json_doc doc;
    memset(config, 0, sizeof *config);
    if (json_parse(&doc, file, text, length))
        return -1;
    struct json root = json_root(&doc);
    check_version(&root);
    struct json root_fs = json_need_object(&root, "root");
    config->root_path = json_need_text(&root_fs, "path");
    config->root_readonly = json_bool(&root_fs, "readonly", false);
    config->hostname = json_text(&root, "hostname", NULL);
    process_parse(&config->process, &root);
    mounts_parse(config, &root);
    parse_linux(config, &root);
    struct json at = json_member(&root, "hostname");
    if (config->hostname && !config->namespaces[NS_UTS].wanted)
        json_fail(&at, "needs a \"uts\" namespace");
    if (!doc.failed)
        collect_warnings(config, &root);
    return doc.failed ? -1 : 0;
}
