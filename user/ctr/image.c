#include "user/ctr/image.h"
#include "user/ctr/blob.h"
#include "user/lib/oci/json.h"
#include "user/ctr/sys.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define REF_NAME "org.opencontainers.image.ref.name"

const char *images_directory(void)
{
    const char *directory = getenv("CTR_IMAGES");
    return directory ? directory : "/lib/images";
}

// Reads and parses a file of the layout.
static int read_json(const char *directory, const char *name, struct json_doc *doc)
{
    size_t length;
    const char *path = format_text("%s/%s", directory, name);
    char *text = read_file_at(-100, path, 1 << 20, &length); // -100: AT_FDCWD
    return text ? json_parse(doc, path, text, length) : -1;
}

static int check_layout(const char *directory)
{
    struct json_doc doc;
    if (read_json(directory, "oci-layout", &doc))
        return -1;
    struct json root = json_root(&doc);
    const char *version = json_need_text(&root, "imageLayoutVersion");
    struct json at = json_member(&root, "imageLayoutVersion");
    if (!doc.failed && !starts_with(version, "1."))
        json_fail(&at, "\"%s\" is not a version 1 of the image layout", version);
    return doc.failed ? -1 : 0;
}

static const char *tag_of(const struct json *descriptor)
{
    struct json annotations = json_object(descriptor, "annotations");
    return json_text(&annotations, REF_NAME, "");
}

int image_tags(const char *directory, struct list_of_text *tags)
{
    struct json_doc doc;
    if (check_layout(directory) || read_json(directory, "index.json", &doc))
        return -1;
    struct json root = json_root(&doc), manifests = json_array(&root, "manifests"), item;
    struct json_walk walk = {0};
    while (json_next(&manifests, &walk, &item))
        list_add(tags, tag_of(&item));
    return doc.failed ? -1 : 0;
}

struct descriptor {
    const char *type, *digest;
    int64_t size;
};

static struct descriptor read_descriptor(const struct json *value)
{
    return (struct descriptor){
        .type = json_text(value, "mediaType", ""),
        .digest = json_need_text(value, "digest"),
        .size = json_need_int(value, "size", 0, INT64_MAX),
    };
}

// Whether an entry of an index is for this machine; entries that do not say are.
static bool fits(const struct json *descriptor)
{
    struct json platform = json_object(descriptor, "platform");
    return strcmp(json_text(&platform, "architecture", "amd64"), "amd64") == 0 &&
           strcmp(json_text(&platform, "os", "linux"), "linux") == 0;
}

// Finds the manifest in an index: by tag, or (tag NULL: none was asked for) "latest" or the only
// one.
static int choose(struct json_doc *doc, struct image *image, bool tagged, struct descriptor *chosen)
{
    struct json root = json_root(doc), manifests = json_array(&root, "manifests"), item;
    struct json_walk walk = {0};
    int fitting = 0;
    while (json_next(&manifests, &walk, &item)) {
        if (!fits(&item))
            continue;
        bool match = tagged && strcmp(tag_of(&item), image->tag) == 0;
        if (match || !fitting++)
            *chosen = read_descriptor(&item);
        if (match && !doc->failed)
            return 0;
    }
    if (doc->failed)
        return -1;
    if (!fitting)
        return fail("%s: no manifest for linux on amd64", doc->file);
    return fitting == 1 ? 1 : fail("%s: no image tagged \"%s\"", image->name, image->tag);
}

static int find_manifest(struct image *image, bool tag_given, struct descriptor *manifest)
{
    struct json_doc doc;
    if (check_layout(image->directory) || read_json(image->directory, "index.json", &doc))
        return -1;
    int chosen = choose(&doc, image, true, manifest);
    if (chosen < 0)
        return -1;
    if (chosen == 1 && tag_given)
        return fail("%s: no image tagged \"%s\"", image->name, image->tag);
    if (strstr(manifest->type, "image.index") || strstr(manifest->type, "manifest.list")) {
        char *text = blob_text(image, "index", manifest->digest, manifest->size);
        if (!text || json_parse(&doc, manifest->digest, text, strlen(text)))
            return -1;
        return choose(&doc, image, false, manifest) < 0 ? -1 : 0;
    }
    return 0;
}

static int read_config(struct image *image, const struct descriptor *config)
{
    struct json_doc doc;
    const char *file = format_text("%s: image config", image->name);
    char *text = blob_text(image, file, config->digest, config->size);
    if (!text || json_parse(&doc, file, text, strlen(text)))
        return -1;
    struct json root = json_root(&doc), part = json_object(&root, "config");
    image->config.entrypoint = json_texts(&part, "Entrypoint");
    image->config.cmd = json_texts(&part, "Cmd");
    image->config.env = json_texts(&part, "Env");
    image->config.working_dir = json_text(&part, "WorkingDir", "");
    image->config.user = json_text(&part, "User", "");
    struct json root_fs = json_need_object(&root, "rootfs");
    struct list_of_text diff_ids = json_texts(&root_fs, "diff_ids");
    if (doc.failed)
        return -1;
    if (diff_ids.count != image->layer_count)
        return fail("%s: %d layers but %d diff_ids", image->name, image->layer_count,
                    diff_ids.count);
    for (int i = 0; i < diff_ids.count; i++)
        image->layers[i].diff_id = diff_ids.items[i];
    return 0;
}

static int read_layer(struct layer *layer, const struct json *value)
{
    struct descriptor descriptor = read_descriptor(value);
    const char *type = descriptor.type;
    layer->digest = descriptor.digest;
    layer->size = descriptor.size;
    layer->gzip = strstr(type, "gzip") != NULL;
    if (!strstr(type, ".tar") || strstr(type, "zstd") || (strchr(type, '+') && !layer->gzip)) {
        struct json at = json_member(value, "mediaType");
        return json_fail(&at, "\"%s\": only tar and tar+gzip layers are read", type);
    }
    return 0;
}

static int read_manifest(struct image *image, const struct descriptor *manifest)
{
    struct json_doc doc;
    const char *file = format_text("%s: manifest", image->name);
    char *text = blob_text(image, file, manifest->digest, manifest->size);
    if (!text || json_parse(&doc, file, text, strlen(text)))
        return -1;
    image->digest = manifest->digest;
    struct json root = json_root(&doc), config = json_need_object(&root, "config"), item;
    struct json layers = json_array(&root, "layers");
    struct descriptor config_blob = read_descriptor(&config);
    struct json_walk walk = {0};
    image->layers = alloc((size_t)(json_count(&layers) + 1) * sizeof *image->layers);
    while (json_next(&layers, &walk, &item))
        read_layer(&image->layers[image->layer_count++], &item);
    if (doc.failed)
        return -1;
    if (!image->layer_count)
        return fail("%s: an image without layers", image->name);
    return read_config(image, &config_blob);
}

int image_open(struct image *image, const char *reference)
{
    *image = (struct image){.name = reference, .tag = "latest"};
    const char *slash = strrchr(reference, '/'), *colon = strrchr(reference, ':');
    const char *directory = reference;
    bool tag_given = colon && (!slash || colon > slash);
    if (tag_given) {
        directory = copy_text(reference, (size_t)(colon - reference));
        image->tag = colon + 1;
    }
    struct stat stat_of;
    if (!slash) // a bare name means the store, never a directory that happens to be here
        directory = format_text("%s/%s", images_directory(), directory);
    if (stat(directory, &stat_of))
        return fail_errno("image %s: %s", reference, directory);
    image->directory = directory;
    struct descriptor manifest;
    if (find_manifest(image, tag_given, &manifest))
        return -1;
    return read_manifest(image, &manifest);
}
