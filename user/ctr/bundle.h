// A bundle: a directory with config.json and a root file system; given, or made from an image.
#pragma once
#include "user/lib/oci/config.h"
#include "user/lib/oci/spec.h"

struct bundle {
    const char *directory, *rootfs, *image; // absolute; image: "NAME:TAG" or ""
    struct config config;
};

int bundle_open(struct bundle *bundle, const char *directory);
// For container `id`: unpacks the image's layers, mounts them as an overlay (in this process's
// mount namespace) and writes config.json.
int bundle_make(struct bundle *bundle, const char *id, const struct run_options *options);
