#include "user/lib/oci/path.h"
#include <string.h>

#define MAX_LINKS 40

struct walk {
    char rest[2 * PATH_SIZE]; // still to be walked
    char *out;                // walked: clean
    size_t length;            // of out
    enum path_rule rule;
};

static int go_up(struct walk *walk)
{
    if (!walk->length)
        return walk->rule == PATH_BENEATH ? fail("climbs out of the root with \"..\"") : 0;
    while (walk->length && walk->out[walk->length - 1] != '/')
        walk->length--;
    if (walk->length)
        walk->length--;
    walk->out[walk->length] = '\0';
    return 0;
}

static int go_down(struct walk *walk, const char *name, size_t length)
{
    if (walk->length + length + 2 > PATH_SIZE)
        return fail("longer than %d bytes", PATH_SIZE);
    if (walk->length)
        walk->out[walk->length++] = '/';
    memcpy(walk->out + walk->length, name, length);
    walk->length += length;
    walk->out[walk->length] = '\0';
    return 0;
}

// Replaces the last walked component, a link to `target`, by its target in front of what is still
// to be walked.
static int follow(struct walk *walk, const char *target, const char *rest)
{
    if (*target == '/' && walk->rule == PATH_BENEATH)
        return fail("passes through symbolic link \"%s\" to absolute \"%s\"", walk->out, target);
    char *joined = alloc(strlen(target) + strlen(rest) + 2);
    strcpy(joined, target);
    strcat(joined, "/");
    strcat(joined, rest);
    if (strlen(joined) >= sizeof walk->rest)
        return fail("symbolic link \"%s\" makes it too long", walk->out);
    if (*target == '/')
        walk->length = 0;
    else
        go_up(walk);
    walk->out[walk->length] = '\0';
    strcpy(walk->rest, joined);
    return 0;
}

int path_resolve(const char *path, enum path_rule rule, bool keep_last, path_look *look,
                 void *context, char out[PATH_SIZE])
{
    struct walk walk = {.out = out, .rule = rule};
    char target[PATH_SIZE];
    int links = 0;
    out[0] = '\0';
    if (*path == '/' && rule == PATH_BENEATH)
        return fail("an absolute path");
    if (strlen(path) >= PATH_SIZE)
        return fail("longer than %d bytes", PATH_SIZE);
    strcpy(walk.rest, path);
    for (;;) {
        const char *name = walk.rest + strspn(walk.rest, "/");
        size_t length = strcspn(name, "/");
        const char *rest = name + length + strspn(name + length, "/");
        if (!length)
            return 0;
        bool last = !*rest;
        if (length == 2 && memcmp(name, "..", 2) == 0) {
            if (go_up(&walk))
                return -1;
        } else if (!(length == 1 && *name == '.')) {
            if (go_down(&walk, name, length))
                return -1;
            int found = last && keep_last ? 1 : look(context, out, target);
            if (found < 0)
                return -1;
            if (found == 2) {
                if (++links > MAX_LINKS)
                    return fail("too many symbolic links");
                if (follow(&walk, target, rest))
                    return -1;
                continue;
            }
        }
        memmove(walk.rest, rest, strlen(rest) + 1);
    }
}
