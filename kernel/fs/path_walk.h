// The steps of a path walk, for path.c and open.c: lookups that end in an open need to see the last
// component themselves.
#pragma once
#include "kernel/fs/dentry.h"

struct walk {
    struct path at;   // where it is; references
    const char *rest; // what is left of the text
    char *owned;      // the buffer that rest points into after a link
    int links;        // followed so far
};

struct component {
    const char *text;
    u32 len, hash;
    bool slash; // followed by '/'
    bool last;  // nothing but '/' follows
};

int walk_start(struct walk *w, int dirfd, const char *name);
void walk_end(struct walk *w);
bool walk_next(struct walk *w, struct component *c);
struct dentry *walk_lookup(struct walk *w, const struct component *c);
int walk_step(struct walk *w, const struct component *c, bool follow);
int walk_dots(struct walk *w, const struct component *c);
// Behind the link `link` in the directory w->at: w->rest is what to walk then. A magic link moves
// w->at itself.
int walk_follow(struct walk *w, struct dentry *link);
// All but the last component, which is *c (len 0: the text is only slashes).
int walk_to_parent(struct walk *w, struct component *c);
bool component_is_dots(const struct component *c);
