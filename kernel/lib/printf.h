// Formatted print into a buffer: %d %i %u %x %X %o %c %s %p %% with l, ll, z, h, width, precision,
// '-', '0', '+', '#'.
#pragma once
#include <stdarg.h>
#include "kernel/lib/types.h"

// As C's: writes at most size bytes with the terminator, returns the length that the whole text
// has.
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) __printf(3, 0);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
