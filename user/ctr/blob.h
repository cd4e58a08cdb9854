// Reading the blobs of an image layout, digests compared.
#pragma once
#include "user/ctr/image.h"

// The whole blob as text, if it has that size and digest; NULL with error_text, which begins with
// `what`.
char *blob_text(const struct image *image, const char *what, const char *digest, int64_t size);

// A layer's tar as a stream: inflated, and digested on the way.
struct layer_stream;
// Compares the blob's size and digest first; NULL with error_text.
struct layer_stream *layer_stream_open(const struct image *image, const struct layer *layer);
// As struct tar's read.
long layer_stream_read(void *stream, void *buffer, size_t n);
// Reads what is left, compares the diff_id; 0 or -1. Closes.
int layer_stream_close(struct layer_stream *stream, const struct layer *layer);
