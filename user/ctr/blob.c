#include "user/ctr/blob.h"
#include "user/ctr/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sha2.h>
#include <sys/stat.h>
#include <zlib.h>

#define TEXT_BLOB_MAX (1 << 20)

static const char *hex_digest(SHA2_CTX *context)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[SHA256_DIGEST_LENGTH];
    char text[8 + 2 * SHA256_DIGEST_LENGTH] = "sha256:";
    SHA256Final(bytes, context);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        text[7 + 2 * i] = digits[bytes[i] >> 4];
        text[8 + 2 * i] = digits[bytes[i] & 15];
    }
    return copy_text(text, 7 + 2 * SHA256_DIGEST_LENGTH);
}

static bool well_formed(const char *digest)
{
    return starts_with(digest, "sha256:") && strlen(digest) == 71 &&
           strspn(digest + 7, "0123456789abcdef") == 64;
}

static int digest_file(int fd, SHA2_CTX *context)
{
    static char chunk[65536];
    ssize_t got;
    SHA256Init(context);
    while ((got = read(fd, chunk, sizeof chunk)) > 0)
        SHA256Update(context, (const uint8_t *)chunk, (size_t)got);
    return (int)got;
}

// Opens the blob and compares size and digest: a descriptor at its start, or -1.
static int open_verified(const struct image *image, const char *what, const char *digest,
                         int64_t size)
{
    if (!well_formed(digest))
        return fail("%s: \"%s\" is no sha256 digest", what, digest);
    const char *path = format_text("%s/blobs/sha256/%s", image->directory, digest + 7);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno("%s: blob %s", what, digest);
    struct stat stat;
    SHA2_CTX context;
    if (fstat(fd, &stat))
        fail_errno("%s: blob %s", what, digest);
    else if (stat.st_size != size)
        fail("%s: blob %s has %lld bytes, its descriptor says %lld", what, digest,
             (long long)stat.st_size, (long long)size);
    else if (digest_file(fd, &context))
        fail_errno("%s: blob %s", what, digest);
    else {
        const char *found = hex_digest(&context);
        if (strcmp(found, digest) == 0 && lseek(fd, 0, SEEK_SET) == 0)
            return fd;
        fail("%s: digest mismatch: expected %s, found %s", what, digest, found);
    }
    close(fd);
    return -1;
}

char *blob_text(const struct image *image, const char *what, const char *digest, int64_t size)
{
    if (size > TEXT_BLOB_MAX) {
        fail("%s: %lld bytes is too large", what, (long long)size);
        return NULL;
    }
    int fd = open_verified(image, what, digest, size);
    if (fd < 0)
        return NULL;
    char *text = alloc((size_t)size + 1);
    ssize_t got, done = 0;
    while ((got = read(fd, text + done, (size_t)(size - done))) > 0)
        done += got;
    close(fd);
    return text;
}

struct layer_stream {
    int fd;
    bool gzip, ended;
    const struct layer *layer;
    SHA2_CTX diff; // of what has come out
    z_stream inflate;
    uint8_t in[65536];
};

struct layer_stream *layer_stream_open(const struct image *image, const struct layer *layer)
{
    int fd = open_verified(image, "layer", layer->digest, layer->size);
    if (fd < 0)
        return NULL;
    struct layer_stream *stream = alloc(sizeof *stream);
    stream->fd = fd;
    stream->gzip = layer->gzip;
    SHA256Init(&stream->diff);
    if (layer->gzip && inflateInit2(&stream->inflate, 16 + MAX_WBITS) != Z_OK) {
        close(fd);
        fail("layer %s: no memory to inflate", layer->digest);
        return NULL;
    }
    return stream;
}

// Inflates until there is output or the end.
static long inflate_some(struct layer_stream *stream, void *buffer, size_t n)
{
    z_stream *z = &stream->inflate;
    z->next_out = buffer;
    z->avail_out = (uInt)n;
    while (z->avail_out == n) {
        if (!z->avail_in) {
            ssize_t got = read(stream->fd, stream->in, sizeof stream->in);
            if (got < 0)
                return fail_errno("reading");
            if (!got)
                return stream->ended ? 0 : fail("the gzip stream ends early");
            z->next_in = stream->in;
            z->avail_in = (uInt)got;
            if (stream->ended && inflateReset(z) != Z_OK) // another member follows
                return fail("bad gzip stream");
            stream->ended = false;
        }
        int status = inflate(z, Z_NO_FLUSH);
        stream->ended = status == Z_STREAM_END;
        if (status != Z_OK && status != Z_STREAM_END)
            return fail("bad gzip stream%s%s", z->msg ? ": " : "", z->msg ? z->msg : "");
        if (stream->ended && z->avail_in && inflateReset(z) != Z_OK)
            return fail("bad gzip stream");
    }
    return (long)(n - z->avail_out);
}

long layer_stream_read(void *context, void *buffer, size_t n)
{
    struct layer_stream *stream = context;
    long got = stream->gzip ? inflate_some(stream, buffer, n) : read(stream->fd, buffer, n);
    if (got > 0)
        SHA256Update(&stream->diff, buffer, (size_t)got);
    return got;
}

int layer_stream_close(struct layer_stream *stream, const struct layer *layer)
{
    char rest[4096];
    long got;
    do
        got = layer_stream_read(stream, rest, sizeof rest);
    while (got > 0);
    if (stream->gzip)
        inflateEnd(&stream->inflate);
    close(stream->fd);
    if (got < 0) {
        char *why = copy_text(error_text, strlen(error_text));
        return fail("layer %s: %s", layer->digest, why);
    }
    const char *found = hex_digest(&stream->diff);
    if (strcmp(found, layer->diff_id) != 0)
        return fail("layer %s: diff_id mismatch: expected %s, found %s", layer->digest,
                    layer->diff_id, found);
    return 0;
}
