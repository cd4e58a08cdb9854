// How the unit tests of user/lib/oci report.
#pragma once
#include <string.h>
#include "tests/unit/expect.h"
#include "user/lib/oci/text.h"

#define expect_text(actual, expected)                                                              \
    do {                                                                                           \
        const char *a_ = (actual), *e_ = (expected);                                               \
        if (!a_ || strcmp(a_, e_) != 0) {                                                          \
            printf("%s:%d: %s: expected \"%s\", actual \"%s\"\n", __FILE__, __LINE__, #actual, e_, \
                   a_ ? a_ : "(null)");                                                            \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

#define expect_in(actual, part)                                                                    \
    do {                                                                                           \
        const char *a_ = (actual), *p_ = (part);                                                   \
        if (!a_ || !strstr(a_, p_)) {                                                              \
            printf("%s:%d: %s: expected \"%s\" in it, actual \"%s\"\n", __FILE__, __LINE__,        \
                   #actual, p_, a_ ? a_ : "(null)");                                               \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

// A small generator, so that a failure comes again.
__attribute__((unused)) static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}
