// C's memory and string functions, as far as the kernel uses them, and reading numbers.
//
// Any context; none of them knows of user space: kernel addresses only.
#pragma once
#include "kernel/lib/types.h"

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *needle);
// Copies as much of `src` as fits in `size` bytes, always with a terminator (unless size is 0).
// Returns strlen(src).
size_t strlcpy(char *dst, const char *src, size_t size);
// Reads a decimal number that is all of `s` but for blanks behind it; with `suffix` one of k, m, g
// (either case) behind the digits multiplies by 2^10, 2^20, 2^30. 0, -EINVAL (not a number) or
// -ERANGE (not below 2^64); *value is set only with 0.
int parse_u64(const char *s, bool suffix, u64 *value);
