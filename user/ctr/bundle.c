#include "user/ctr/bundle.h"
#include "user/ctr/layer.h"
#include "user/ctr/rootfs.h"
#include "user/ctr/state.h"
#include "user/ctr/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int bundle_open(struct bundle *bundle, const char *directory)
{
    char *real = realpath(directory, NULL);
    size_t length;
    struct stat stat_of;
    if (!real)
        return fail_errno("bundle %s", directory);
    bundle->directory = copy_text(real, strlen(real));
    bundle->image = "";
    free(real);
    const char *file = format_text("%s/config.json", bundle->directory);
    char *text = read_file_at(AT_FDCWD, file, 1 << 20, &length);
    if (!text || config_parse(&bundle->config, file, text, length))
        return -1;
    for (int i = 0; i < bundle->config.warnings.count; i++)
        fprintf(stderr, "ctr: warning: %s\n", bundle->config.warnings.items[i]);
    const char *root = bundle->config.root_path;
    bundle->rootfs = *root == '/' ? root : format_text("%s/%s", bundle->directory, root);
    if (stat(bundle->rootfs, &stat_of) || !S_ISDIR(stat_of.st_mode))
        return fail("%s: root.path: %s is no directory", file, bundle->rootfs);
    return 0;
}

static int mount_overlay(const struct image *image, const char *directory, const char *rootfs)
{
    struct buffer options = {0};
    const char *upper = format_text("%s/upper", directory),
               *work = format_text("%s/work", directory);
    buffer_printf(&options, "lowerdir=");
    for (int i = image->layer_count - 1; i >= 0; i--) { // the uppermost comes first
        const char *layer = layer_unpack(image, &image->layers[i]);
        if (!layer)
            return -1;
        buffer_printf(&options, "%s%s", layer, i ? ":" : "");
    }
    buffer_printf(&options, ",upperdir=%s,workdir=%s", upper, work);
    if (options.length > 4095)
        return fail("%s: too many layers for one mount", image->name);
    if (make_dir(upper, 0755) || make_dir(work, 0755))
        return -1;
    if (mount("overlay", rootfs, "overlay", MS_NODEV, options.data))
        return fail_errno("overlay on %s", rootfs);
    return 0;
}

static const char *read_inside(int root, const char *path)
{
    char clean[PATH_SIZE];
    if (resolve_in(root, path, PATH_IN_ROOT, false, clean))
        return "";
    int fd = open_beneath(root, clean, O_RDONLY);
    const char *text = fd < 0 ? NULL : read_file_at(AT_FDCWD, fd_path(fd), 1 << 20, NULL);
    close(fd);
    return text ? text : "";
}

static int find_user(const char *rootfs, const char *user, struct spec_facts *facts)
{
    int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *passwd = read_inside(root, "/etc/passwd"), *group = read_inside(root, "/etc/group");
    close(root);
    return spec_find_user(facts, user, passwd, group);
}

static int find_devices(const struct run_options *options, struct spec_facts *facts)
{
    facts->devices = alloc((size_t)(options->devices.count + 1) * sizeof *facts->devices);
    for (int i = 0; i < options->devices.count; i++) {
        struct stat stat_of;
        const char *path = options->devices.items[i];
        if (stat(path, &stat_of))
            return fail_errno("--device %s", path);
        if (!S_ISCHR(stat_of.st_mode) && !S_ISBLK(stat_of.st_mode))
            return fail("--device %s: not a device", path);
        facts->devices[i] = (struct device_config){
            .path = path,
            .type = S_ISCHR(stat_of.st_mode) ? 'c' : 'b',
            .major = (uint32_t)major(stat_of.st_rdev),
            .minor = (uint32_t)minor(stat_of.st_rdev),
        };
    }
    return 0;
}

int bundle_make(struct bundle *bundle, const char *id, const struct run_options *options)
{
    struct image image;
    struct spec_facts facts = {.id = id};
    const char *directory = state_dir(id), *place = format_text("%s/bundle", directory);
    const char *rootfs = format_text("%s/rootfs", place);
    if (image_open(&image, options->image) || make_dir(place, 0711) || make_dir(rootfs, 0755) ||
        mount_overlay(&image, directory, rootfs) ||
        find_user(rootfs, options->user ? options->user : image.config.user, &facts) ||
        find_devices(options, &facts))
        return -1;
    char *text = spec_write(&image.config, options, &facts);
    if (!text || replace_file(format_text("%s/config.json", place), text) ||
        bundle_open(bundle, place))
        return -1;
    bundle->image = format_text("%s:%s", strrchr(image.directory, '/') + 1, image.tag);
    return 0;
}
