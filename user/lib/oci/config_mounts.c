#include "user/lib/oci/config_parts.h"
#include <sys/mount.h>
#include <string.h>

static const struct option {
    const char *name;
    unsigned long set, clear, propagation;
} options[] = {
    {"defaults", 0, 0, 0},
    {"ro", MS_RDONLY, 0, 0},
    {"rw", 0, MS_RDONLY, 0},
    {"nosuid", MS_NOSUID, 0, 0},
    {"suid", 0, MS_NOSUID, 0},
    {"nodev", MS_NODEV, 0, 0},
    {"dev", 0, MS_NODEV, 0},
    {"noexec", MS_NOEXEC, 0, 0},
    {"exec", 0, MS_NOEXEC, 0},
    {"sync", MS_SYNCHRONOUS, 0, 0},
    {"async", 0, MS_SYNCHRONOUS, 0},
    {"dirsync", MS_DIRSYNC, 0, 0},
    {"noatime", MS_NOATIME, 0, 0},
    {"atime", 0, MS_NOATIME, 0},
    {"nodiratime", MS_NODIRATIME, 0, 0},
    {"relatime", MS_RELATIME, 0, 0},
    {"norelatime", 0, MS_RELATIME, 0},
    {"strictatime", MS_STRICTATIME, 0, 0},
    {"bind", MS_BIND, 0, 0},
    {"rbind", MS_BIND | MS_REC, 0, 0},
    {"private", 0, 0, MS_PRIVATE},
    {"rprivate", 0, 0, MS_PRIVATE | MS_REC},
    {"slave", 0, 0, MS_SLAVE},
    {"rslave", 0, 0, MS_SLAVE | MS_REC},
    {"shared", 0, 0, MS_SHARED},
    {"rshared", 0, 0, MS_SHARED | MS_REC},
};

static void apply_option(struct mount_config *mount, const char *name)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(name, options[i].name) != 0)
            continue;
        mount->flags = (mount->flags | options[i].set) & ~options[i].clear;
        if (options[i].propagation)
            mount->propagation = options[i].propagation;
        return;
    }
    mount->data = *mount->data ? format_text("%s,%s", mount->data, name) : name;
}

static void parse_mount(struct mount_config *mount, const struct json *item)
{
    mount->destination = json_need_text(item, "destination");
    mount->source = json_text(item, "source", "none");
    mount->type = json_text(item, "type", "none");
    mount->data = "";
    mount->json_path = json_path(item);
    struct list_of_text names = json_texts(item, "options");
    for (int i = 0; i < names.count; i++)
        apply_option(mount, names.items[i]);
    struct json at = json_member(item, "destination"), type = json_member(item, "type");
    if (*mount->destination != '/')
        json_fail(&at, "\"%s\" is not an absolute path", mount->destination);
    if (strcmp(mount->type, "bind") == 0)
        mount->flags |= MS_BIND;
    if (!(mount->flags & MS_BIND) && strcmp(mount->type, "none") == 0)
        json_fail(&type, "missing (a file system type, or the option \"bind\")");
}

void mounts_parse(struct config *config, const struct json *root)
{
    struct json array = json_array(root, "mounts"), item;
    struct json_walk walk = {0};
    config->mount_count = json_count(&array);
    config->mounts = alloc((config->mount_count + 1) * sizeof *config->mounts);
    struct mount_config *mount = config->mounts;
    while (json_next(&array, &walk, &item))
        parse_mount(mount++, &item);
}
