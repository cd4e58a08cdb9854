// with: user/lib/oci/text.c user/lib/oci/path.c
// Resolving paths in a root that is not trusted, against a make-believe file system.
#include "tests/unit/oci_expect.h"
#include "user/lib/oci/path.h"

static const char *const links[][2] = {
    {"up", "../../.."},        {"abs", "/etc"},    {"rel", "a/b"},     {"a/back", "../rel/x"},
    {"loop", "loop"},          {"ping", "pong/x"}, {"pong", "ping/x"}, {"root", "/"},
    {"dots", "a/../a/./b//c"}, {"empty", ""},
};
static int looks;

static int look(void *context, const char *path, char *target)
{
    (void)context;
    looks++;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (strcmp(path, links[i][0]) == 0) {
            strcpy(target, links[i][1]);
            return 2;
        }
    return strstr(path, "missing") ? 0 : strstr(path, "error") ? fail("error asked for") : 1;
}

static const char *resolve(const char *path, enum path_rule rule, bool keep_last)
{
    static char out[PATH_SIZE];
    return path_resolve(path, rule, keep_last, look, NULL, out) ? "(refused)" : out;
}

static void plain_paths_become_clean(void)
{
    expect_text(resolve("a/b", PATH_BENEATH, false), "a/b");
    expect_text(resolve("./a//b/./c/", PATH_BENEATH, false), "a/b/c");
    expect_text(resolve("a/x/../b", PATH_BENEATH, false), "a/b");
    expect_text(resolve("", PATH_BENEATH, false), "");
    expect_text(resolve(".", PATH_BENEATH, false), "");
    expect_text(resolve("/", PATH_IN_ROOT, false), "");
    expect_text(resolve("a/missing/y", PATH_BENEATH, false), "a/missing/y");
}

static void nothing_climbs_out_beneath(void)
{
    static const char *const bad[] = {"..",     "../x",           "a/../../x", "/etc/passwd",
                                      "up/x",   "abs/x",          "loop/x",    "ping",
                                      "root/x", "a/b/../../../c", "error/x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_text(resolve(bad[i], PATH_BENEATH, false), "(refused)");
    expect_text(resolve("abs/x", PATH_BENEATH, false), "(refused)");
    expect_text(error_text, "passes through symbolic link \"abs\" to absolute \"/etc\"");
}

static void in_a_root_everything_stays_inside(void)
{
    expect_text(resolve("/../../etc", PATH_IN_ROOT, false), "etc");
    expect_text(resolve("/up/x", PATH_IN_ROOT, false), "x");
    expect_text(resolve("/a/abs", PATH_IN_ROOT, false), "a/abs");
    expect_text(resolve("/abs/passwd", PATH_IN_ROOT, false), "etc/passwd");
    expect_text(resolve("/root/abs/y", PATH_IN_ROOT, false), "etc/y");
    expect_text(resolve("loop", PATH_IN_ROOT, false), "(refused)");
}

static void links_inside_are_followed(void)
{
    expect_text(resolve("rel/c", PATH_BENEATH, false), "a/b/c");
    expect_text(resolve("a/back", PATH_BENEATH, false), "a/b/x");
    expect_text(resolve("dots/d", PATH_BENEATH, false), "a/b/c/d");
    expect_text(resolve("empty/d", PATH_BENEATH, false), "d");
}

static void a_kept_last_component_is_not_looked_at(void)
{
    looks = 0;
    expect_text(resolve("up", PATH_BENEATH, true), "up");
    expect(looks, 0);
    expect_text(resolve("rel/up", PATH_BENEATH, true), "a/b/up");
    expect_text(resolve("rel/", PATH_BENEATH, true), "rel");
}

static void long_paths_are_refused(void)
{
    char path[2 * PATH_SIZE];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    expect_text(resolve(path, PATH_BENEATH, false), "(refused)");
    path[PATH_SIZE - 2] = '\0';
    expect(strlen(resolve(path, PATH_BENEATH, false)), PATH_SIZE - 2);
    path[PATH_SIZE - 2] = 'x';
    memcpy(path, "dots/", 5);
    expect_text(resolve(path, PATH_BENEATH, false), "(refused)");
}

// Whatever words come in whatever order, the result is clean.
static void any_path_resolves_to_a_clean_one(void)
{
    static const char *const words[] = {"..",  ".",   "",     "a",    "b",   "up",
                                        "abs", "rel", "back", "dots", "root"};
    unsigned seed = 7;
    for (int round = 0; round < 20000; round++) {
        char path[256] = "";
        for (unsigned n = next_random(&seed) % 12; n; n--) {
            strcat(path, words[next_random(&seed) % 11]);
            strcat(path, "/");
        }
        const char *out = resolve(path, PATH_IN_ROOT, false);
        char framed[PATH_SIZE + 2];
        snprintf(framed, sizeof framed, "/%s/", out);
        bool clean =
            !strstr(framed, "/../") && !strstr(framed, "/./") && (!*out || !strstr(framed, "//"));
        expect(clean, 1);
    }
}

int main(void)
{
    plain_paths_become_clean();
    nothing_climbs_out_beneath();
    in_a_root_everything_stays_inside();
    links_inside_are_followed();
    a_kept_last_component_is_not_looked_at();
    long_paths_are_refused();
    any_path_resolves_to_a_clean_one();
    alloc_free_all();
    return failures != 0;
}
