// kernel/lib compared with the host's C library: strings, numbers, formatted print.
#include <errno.h>
#include <string.h>
#include "tests/unit/expect.h"

// The kernel's functions under names of their own, beside the host's.
#define memcpy lib_memcpy
#define memmove lib_memmove
#define memset lib_memset
#define memcmp lib_memcmp
#define memchr lib_memchr
#define strlen lib_strlen
#define strnlen lib_strnlen
#define strcmp lib_strcmp
#define strncmp lib_strncmp
#define strchr lib_strchr
#define strrchr lib_strrchr
#define strstr lib_strstr
#define strlcpy lib_strlcpy
#define vsnprintf lib_vsnprintf
#define snprintf lib_snprintf
#undef __printf
#include "kernel/lib/string.c"
#include "kernel/lib/printf.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr
#undef strstr
#undef strlcpy
#undef vsnprintf
#undef snprintf

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static void memory_moves_as_in_c(void)
{
    for (size_t n = 0; n < 40; n++) {
        for (size_t from = 0; from < 20; from++) {
            char a[64], b[64];
            for (int i = 0; i < 64; i++)
                a[i] = b[i] = (char)(i * 7 + 1);
            lib_memmove(a + 10, a + from, n);
            memmove(b + 10, b + from, n);
            expect(memcmp(a, b, sizeof(a)), 0);
            lib_memset(a + from, 0xa5, n);
            memset(b + from, 0xa5, n);
            expect(memcmp(a, b, sizeof(a)), 0);
            lib_memcpy(a, b + 24, n);
            memcpy(b, b + 24, n > 24 ? 0 : n);
            expect(n > 24 || memcmp(a, b, sizeof(a)) == 0, 1);
        }
    }
}

static void strings_compare_and_search_as_in_c(void)
{
    static const char *const s[] = {"", "a", "ab", "abc", "abd", "b", "xyz\xff", "abcabc", "bca"};
    enum { N = sizeof(s) / sizeof(s[0]) };

    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            expect(sign(lib_strcmp(s[i], s[j])), sign(strcmp(s[i], s[j])));
            for (size_t n = 0; n < 5; n++)
                expect(sign(lib_strncmp(s[i], s[j], n)), sign(strncmp(s[i], s[j], n)));
            expect(lib_strstr(s[i], s[j]) == strstr(s[i], s[j]), 1);
        }
        for (const char *c = "abcx\xff"; *c; c++) {
            expect(lib_strchr(s[i], *c) == strchr(s[i], *c), 1);
            expect(lib_strrchr(s[i], *c) == strrchr(s[i], *c), 1);
            expect(lib_memchr(s[i], *c, strlen(s[i])) == memchr(s[i], *c, strlen(s[i])), 1);
        }
        expect(lib_strchr(s[i], 0) == s[i] + strlen(s[i]), 1);
        expect(lib_strlen(s[i]), strlen(s[i]));
        expect(lib_strnlen(s[i], 2), strnlen(s[i], 2));
    }
}

static void strlcpy_cuts_and_terminates(void)
{
    char buf[4] = "zzz";

    expect(lib_strlcpy(buf, "hello", sizeof(buf)), 5);
    expect(strcmp(buf, "hel"), 0);
    expect(lib_strlcpy(buf, "x", 1), 1);
    expect(buf[0], 0);
    buf[0] = 'q';
    expect(lib_strlcpy(buf, "x", 0), 1);
    expect(buf[0], 'q');
}

static void numbers_are_read_whole_or_refused(void)
{
    static const struct {
        const char *text;
        bool suffix;
        int result;
        u64 value;
    } cases[] = {
        {"0", false, 0, 0},
        {"42\n", false, 0, 42},
        {"18446744073709551615", false, 0, UINT64_MAX},
        {"18446744073709551616", false, -ERANGE, 0},
        {"99999999999999999999", false, -ERANGE, 0},
        {"", false, -EINVAL, 0},
        {"-1", false, -EINVAL, 0},
        {" 1", false, -EINVAL, 0},
        {"1x", false, -EINVAL, 0},
        {"1k", false, -EINVAL, 0},
        {"1k", true, 0, 1024},
        {"3M \n", true, 0, 3 << 20},
        {"2g", true, 0, 2UL << 30},
        {"2gb", true, -EINVAL, 0},
        {"17179869184g", true, -ERANGE, 0},
        {"17179869183g", true, 0, 17179869183UL << 30},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        u64 value = 77;
        expect(parse_u64(cases[i].text, cases[i].suffix, &value), cases[i].result);
        expect(value, cases[i].result ? 77 : cases[i].value);
    }
}

static void same_print(const char *fmt, ...)
{
    for (size_t size = 0; size < 48; size += 7) {
        char ours[64] = "?", theirs[64] = "?";
        va_list ap;
        va_start(ap, fmt);
        int n = lib_vsnprintf(ours, size, fmt, ap);
        va_end(ap);
        va_start(ap, fmt);
        int m = vsnprintf(theirs, size, fmt, ap);
        va_end(ap);
        if (n != m || strcmp(ours, theirs) != 0) {
            printf("%s, %zu bytes: expected %d \"%s\", actual %d \"%s\"\n", fmt, size, m, theirs, n,
                   ours);
            failures++;
        }
    }
}

static void print_formats_as_in_c(void)
{
    static const char *const integer[] = {
        "%d",    "%5d", "%-5d|", "%05d", "%+d",    "% d", "%.3d", "%8.3d", "%x",  "%#x", "%08x",
        "%#10x", "%X",  "%o",    "%#o",  "%-#8x|", "%u",  "%.0d", "%hhd",  "%hu", "%c"};
    static const char *const wide[] = {"%ld",   "%lu",    "%lx", "%#lx",
                                       "%20ld", "%020lx", "%zu", "%lld"};
    static const int values[] = {1, 65, -65, 127, 40000, -1, INT32_MIN, INT32_MAX};
    static const char *const text[] = {"%s", "%5s", "%-5s|", "%.2s", "%5.1s", "%-6.3s|"};

    for (size_t i = 0; i < ARRAY_SIZE(integer); i++)
        for (size_t j = 0; j < ARRAY_SIZE(values); j++)
            same_print(integer[i], values[j]);
    for (size_t i = 0; i < ARRAY_SIZE(wide); i++)
        for (size_t j = 0; j < ARRAY_SIZE(values); j++)
            same_print(wide[i], values[j] * (1L << 31));
    for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
        same_print(text[i], "");
        same_print(text[i], "abcdefgh");
    }
    same_print("%d", 0);
    same_print("%#x %#o", 0, 0);
    same_print("%*d|%-*d|%.*s", 6, 42, 6, 42, 2, "xyz");
    same_print("%*d", -6, 42);
    same_print("100%% of %s in %p", "it", (void *)0x1234);
}

int main(void)
{
    memory_moves_as_in_c();
    strings_compare_and_search_as_in_c();
    strlcpy_cuts_and_terminates();
    numbers_are_read_whole_or_refused();
    print_formats_as_in_c();
    return failures != 0;
}
