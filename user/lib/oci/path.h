// Paths inside a root that is not trusted. Pure: the file system is asked through a callback.
//
// A *clean* path is relative to the root, has no "", "." or ".." component and no slash at either
// end; the root is "". path_resolve gives one with no symbolic link in it, too; rootfs.c opens that
// component by component without following links, so that a link put there in between makes the
// open fail instead of leading out.
#pragma once
#include "user/lib/oci/text.h"

#define PATH_SIZE 4096

// What the file system says about clean path `path`: 0 = not there, 1 = there and no link, 2 = a
// symbolic link with its text in `target` (PATH_SIZE bytes), -1 = an error (error_text).
typedef int path_look(void *context, const char *path, char *target);

enum path_rule {
    PATH_IN_ROOT, // as chroot sees it: absolute links start at the root, ".." of the root is the
                  // root
    PATH_BENEATH, // nothing may try to climb: absolute paths and links, and ".." past the root,
                  // fail
};

// Resolves `path` (all of it; or all but the last component, if keep_last) into clean form. Missing
// components are taken as they are. 0, or -1 with error_text saying why.
int path_resolve(const char *path, enum path_rule rule, bool keep_last, path_look *look,
                 void *context, char out[PATH_SIZE]);
