// OCI images as they lie in a directory (image layout 1.0): oci-layout, index.json, blobs/sha256/*.
// Every blob that is read is compared with the size and the digest that its descriptor gives.
#pragma once
#include "user/lib/oci/spec.h"

struct layer {
    const char *digest;  // "sha256:…" of the blob
    const char *diff_id; // "sha256:…" of the tar inside
    int64_t size;        // of the blob
    bool gzip;
};

struct image {
    const char *directory, *name, *tag;
    const char *digest; // of the manifest
    struct layer *layers;
    int layer_count;
    struct image_config config;
};

// "IMAGE[:TAG]": a directory, or a name below $CTR_IMAGES (/lib/images). Reads manifest and
// configuration, not the layers. Without a tag: "latest", or the only one there is.
int image_open(struct image *image, const char *reference);
// The tags of the layout in `directory`.
int image_tags(const char *directory, struct list_of_text *tags);
const char *images_directory(void);
