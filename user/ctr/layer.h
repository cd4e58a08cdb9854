// The store of unpacked layers: $CTR_ROOT/layers/DIFF_ID-HEX, each a directory as overlayfs wants
// it.
#pragma once
#include "user/ctr/image.h"

// The directory of the layer, unpacked first if it is not there yet; NULL with error_text, which
// names the layer and the entry.
const char *layer_unpack(const struct image *image, const struct layer *layer);
