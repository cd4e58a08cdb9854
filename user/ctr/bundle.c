#include "user/ctr/bundle.h"
#include "user/ctr/layer.h"
#include "user/ctr/rootfs.h"
#include "user/ctr/state.h"
#include "user/ctr/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
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
    if (sys_mount("overlay", rootfs, "overlay", MS_NODEV, options.data))
        return fail_errno("overlay on %s", rootfs);
    return 0;
}

// Field `field` (from 0) of the line of /etc/passwd or group that is named `name`, as a number.
static bool look_up(int root, const char *file, const char *name, int field, uint32_t *number)
{
    char clean[PATH_SIZE];
    int fd = resolve_in(root, file, PATH_IN_ROOT, false, clean)
                 ? -1
                 : open_beneath(root, clean, O_RDONLY);
    char *text = fd < 0 ? NULL : read_file_at(AT_FDCWD, fd_path(fd), 1 << 20, NULL);
    if (fd >= 0)
        close(fd);
    size_t length = strlen(name);
    for (char *line = text; line && *line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        for (int i = 0; line && i < field; i++)
            line = strchr(line, ':') ? strchr(line, ':') + 1 : NULL;
        return line && sscanf(line, "%u", number) == 1;
    }
    return false;
}

// "USER[:GROUP]", names or numbers, as an image or --user has it. A user's own group comes from
// /etc/passwd.
static int find_user(const char *rootfs, const char *text, struct user_ids *ids)
{
    char *user = copy_text(text, strlen(text)), *colon = strchr(user, ':'), *end;
    *ids = (struct user_ids){0, 0};
    if (!*user)
        return 0;
    if (colon)
        *colon = '\0';
    int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC), result = 0;
    ids->uid = (uint32_t)strtoul(user, &end, 10);
    if (*end && !(look_up(root, "/etc/passwd", user, 2, &ids->uid) &&
                  look_up(root, "/etc/passwd", user, 3, &ids->gid)))
        result = fail("no user \"%s\" in the image", user);
    if (colon) {
        ids->gid = (uint32_t)strtoul(colon + 1, &end, 10);
        if (*end && !look_up(root, "/etc/group", colon + 1, 2, &ids->gid))
            result = fail("no group \"%s\" in the image", colon + 1);
    }
    close(root);
    return result;
}

static int find_devices(const struct run_options *options, struct spec_device *devices)
{
    for (int i = 0; i < options->devices.count; i++) {
        struct stat stat_of;
        const char *path = options->devices.items[i];
        if (stat(path, &stat_of))
            return fail_errno("--device %s", path);
        if (!S_ISCHR(stat_of.st_mode) && !S_ISBLK(stat_of.st_mode))
            return fail("--device %s: not a device", path);
        devices[i] = (struct spec_device){path, S_ISCHR(stat_of.st_mode) ? 'c' : 'b',
                                          (uint32_t)major(stat_of.st_rdev),
                                          (uint32_t)minor(stat_of.st_rdev)};
    }
    return 0;
}

int bundle_make(struct bundle *bundle, const char *id, const struct run_options *options)
{
    struct image image;
    struct user_ids user;
    const char *directory = state_dir(id), *place = format_text("%s/bundle", directory);
    const char *rootfs = format_text("%s/rootfs", place);
    struct spec_device *devices = alloc((size_t)(options->devices.count + 1) * sizeof *devices);
    if (image_open(&image, options->image) || make_dir(place, 0711) || make_dir(rootfs, 0755))
        return -1;
    if (mount_overlay(&image, directory, rootfs))
        return -1;
    if (find_user(rootfs, options->user ? options->user : image.user, &user) ||
        find_devices(options, devices))
        return -1;
    char *text = spec_write(&image, options, id, user, devices, options->devices.count);
    if (!text || replace_file(format_text("%s/config.json", place), text) ||
        bundle_open(bundle, place))
        return -1;
    bundle->image = format_text("%s:%s", strrchr(image.directory, '/') + 1, image.tag);
    return 0;
}
