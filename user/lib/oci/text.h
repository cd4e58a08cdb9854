// Memory, text and errors of ctr. No system calls: the pure parts (JSON, tar, paths, configuration)
// stand on this alone.
//
// Memory comes from one arena that lives as long as the command: nobody frees a single object.
// Errors: a function that fails leaves one message in error_text and returns -1; main prints it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern char error_text[1024];

// Formats error_text; always -1.
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
// The same with ": " and the text of errno behind.
int fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Zeroed memory of the arena. Ends the program if there is none.
void *alloc(size_t size);
char *copy_text(const char *text, size_t length);
char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Frees the whole arena (for the unit tests, which count leaks).
void alloc_free_all(void);

struct list_of_text { // `items` ends with NULL, as argv does
    char **items;
    int count, room;
};
void list_add(struct list_of_text *list, const char *text);
struct list_of_text list_of_words(const char *words); // with blanks between

struct buffer { // text that grows; always ends with NUL
    char *data;
    size_t length, room;
};
void buffer_add(struct buffer *buffer, const char *text, size_t length);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

bool starts_with(const char *text, const char *prefix);
// A size such as 64m, 1G, 4096 in bytes; false if it is none.
bool parse_size(const char *text, int64_t *bytes);
