#include "user/lib/oci/text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char error_text[1024];

int fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error_text, sizeof error_text, format, args);
    va_end(args);
    return -1;
}

int fail_errno(const char *format, ...)
{
    int error = errno;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(error_text, sizeof error_text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof error_text)
        snprintf(error_text + n, sizeof error_text - n, ": %s", strerror(error));
    errno = error;
    return -1;
}

// The arena: blocks in a chain, handed out from the front of the newest one.
struct block {
    struct block *next;
    size_t used, room;
    _Alignas(16) char bytes[];
};
static struct block *blocks;

void *alloc(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (!blocks || blocks->room - blocks->used < size) {
        size_t room = size > 16384 ? size : 16384;
        struct block *block = calloc(1, sizeof *block + room);
        if (!block) {
            fputs("ctr: out of memory\n", stderr);
            exit(125);
        }
        block->room = room;
        block->next = blocks;
        blocks = block;
    }
    void *memory = blocks->bytes + blocks->used;
    blocks->used += size;
    return memory;
}

void alloc_free_all(void)
{
    while (blocks) {
        struct block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

char *copy_text(const char *text, size_t length)
{
    char *copy = alloc(length + 1);
    memcpy(copy, text, length);
    return copy;
}

static char *format_list(const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    size_t room = (size_t)vsnprintf(NULL, 0, format, args) + 1;
    char *text = alloc(room);
    vsnprintf(text, room, format, again);
    va_end(again);
    return text;
}

char *format_text(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_list(format, args);
    va_end(args);
    return text;
}

void list_add(struct list_of_text *list, const char *text)
{
    if (list->count + 2 > list->room) {
        int room = list->room ? 2 * list->room : 8;
        char **items = alloc(room * sizeof *items);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = copy_text(text, strlen(text));
    list->items[list->count] = NULL;
}

void buffer_add(struct buffer *buffer, const char *text, size_t length)
{
    if (buffer->length + length + 1 > buffer->room) {
        size_t room = 2 * (buffer->length + length + 128);
        char *data = alloc(room);
        if (buffer->length)
            memcpy(data, buffer->data, buffer->length);
        buffer->data = data;
        buffer->room = room;
    }
    memcpy(buffer->data + buffer->length, text, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_list(format, args);
    va_end(args);
    buffer_add(buffer, text, strlen(text));
}

struct list_of_text list_of_words(const char *words)
{
    struct list_of_text list = {0};
    while (*words) {
        size_t length = strcspn(words, " ");
        list_add(&list, copy_text(words, length));
        words += length + (words[length] == ' ');
    }
    return list;
}

bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool parse_size(const char *text, int64_t *bytes)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno || value < 0)
        return false;
    const char *units = "kmg", *unit = *end ? strchr(units, *end | 0x20) : NULL;
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    end += unit != NULL;
    if (*end || value > (INT64_MAX >> shift))
        return false;
    *bytes = (int64_t)value << shift;
    return true;
}
