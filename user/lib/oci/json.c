#include "user/lib/oci/json.h"
#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <errno.h>
#include <jsmn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const jsmntok_t *token_of(const struct json *value)
{
    return (const jsmntok_t *)value->doc->tokens + value->token;
}

static const char *kind_of(const struct json *value)
{
    if (value->token < 0)
        return "nothing";
    const jsmntok_t *token = token_of(value);
    switch (token->type) {
    case JSMN_OBJECT:
        return "an object";
    case JSMN_ARRAY:
        return "an array";
    case JSMN_STRING:
        return "a string";
    default:
        break;
    }
    char first = value->doc->text[token->start];
    return first == 't' || first == 'f' ? "a boolean" : first == 'n' ? "null" : "a number";
}

static void add_path(struct buffer *buffer, const struct json *value)
{
    if (value->parent)
        add_path(buffer, value->parent);
    if (value->key)
        buffer_printf(buffer, "%s%s", buffer->length ? "." : "", value->key);
    else if (value->parent)
        buffer_printf(buffer, "[%d]", value->index);
}

char *json_path(const struct json *value)
{
    struct buffer buffer = {0};
    buffer_add(&buffer, "", 0);
    add_path(&buffer, value);
    return buffer.data;
}

int json_fail(const struct json *at, const char *format, ...)
{
    if (at->doc->failed)
        return -1;
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    const char *path = json_path(at);
    at->doc->failed = true;
    return fail("%s: %s%s%s", at->doc->file, path, *path ? ": " : "", message);
}

static int fail_at(struct json_doc *doc, int offset, const char *what)
{
    int line = 1;
    for (int i = 0; i < offset; i++)
        line += doc->text[i] == '\n';
    doc->failed = true;
    return fail("%s: line %d: %s", doc->file, line, what);
}

static bool is_literal(const char *text, int length)
{
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++)
        if (length == (int)strlen(words[i]) && memcmp(text, words[i], length) == 0)
            return true;
    int i = length > 0 && text[0] == '-';
    int digits = 0;
    for (; i < length && strchr("0123456789.eE+-", text[i]) && text[i]; i++)
        digits += text[i] >= '0' && text[i] <= '9';
    return i == length && digits > 0;
}

// jsmn splits text into tokens but lets some things pass that are no JSON.
static int check_tokens(struct json_doc *doc)
{
    const jsmntok_t *tokens = (const jsmntok_t *)doc->tokens;
    for (int i = 0; i < doc->count; i++) {
        const jsmntok_t *token = &tokens[i];
        bool in_object = token->parent >= 0 && tokens[token->parent].type == JSMN_OBJECT;
        if (i && token->parent < 0)
            return fail_at(doc, token->start, "text after the end of the document");
        if (in_object && (token->type != JSMN_STRING || token->size != 1))
            return fail_at(doc, token->start, "a member needs \"name\": value");
        if (!in_object && token->type == JSMN_STRING && token->size)
            return fail_at(doc, token->start, "a name outside an object");
        if (token->type == JSMN_PRIMITIVE &&
            !is_literal(doc->text + token->start, token->end - token->start))
            return fail_at(doc, token->start, "neither a number nor true, false or null");
    }
    return 0;
}

int json_parse(struct json_doc *doc, const char *file, const char *text, size_t length)
{
    *doc = (struct json_doc){.file = file, .text = text};
    for (unsigned room = 1024;; room *= 4) {
        jsmn_parser parser;
        jsmn_init(&parser);
        doc->tokens = alloc(room * sizeof(jsmntok_t));
        int count = jsmn_parse(&parser, text, length, (jsmntok_t *)doc->tokens, room);
        if (count == JSMN_ERROR_NOMEM && room < (1u << 20))
            continue;
        if (count == JSMN_ERROR_NOMEM)
            return fail_at(doc, (int)parser.pos, "too large");
        if (count == JSMN_ERROR_PART)
            return fail_at(doc, (int)length, "ends in the middle of a value");
        if (count < 0)
            return fail_at(doc, (int)parser.pos, "not JSON");
        doc->count = count;
        break;
    }
    if (!doc->count)
        return fail_at(doc, 0, "empty");
    return check_tokens(doc);
}

struct json json_root(struct json_doc *doc)
{
    struct json root = {.doc = doc, .token = doc->failed ? -1 : 0};
    if (!doc->failed && token_of(&root)->type != JSMN_OBJECT) {
        json_fail(&root, "expected an object, found %s", kind_of(&root));
        root.token = -1;
    }
    return root;
}

bool json_present(const struct json *value)
{
    return value->token >= 0 && strcmp(kind_of(value), "null") != 0;
}

// The token behind the value at `token` and all that is in it.
static int behind(const struct json_doc *doc, int token)
{
    const jsmntok_t *tokens = (const jsmntok_t *)doc->tokens;
    int end = tokens[token].end;
    do
        token++;
    while (token < doc->count && tokens[token].start < end);
    return token;
}

// False if a name, as it is written, cannot be `wanted`: saves decoding it.
static bool might_be(const struct json *name, const char *wanted)
{
    const jsmntok_t *token = token_of(name);
    const char *text = name->doc->text + token->start;
    size_t length = (size_t)(token->end - token->start);
    return memchr(text, '\\', length) || (strncmp(text, wanted, length) == 0 && !wanted[length]);
}

// json_next; with `wanted`, names that cannot be that one come as "".
static bool step(const struct json *container, struct json_walk *walk, struct json *item,
                 const char *wanted)
{
    if (!json_present(container))
        return false;
    struct json_doc *doc = container->doc;
    const jsmntok_t *tokens = (const jsmntok_t *)doc->tokens;
    int at = walk->next ? walk->next : container->token + 1;
    if (at >= doc->count || tokens[at].start >= token_of(container)->end)
        return false;
    *item = (struct json){.doc = doc, .token = at, .parent = container, .index = walk->index++};
    if (token_of(container)->type == JSMN_OBJECT) {
        struct json key = *item;
        item->key = wanted && !might_be(&key, wanted) ? "" : json_as_text(&key);
        item->token = ++at;
    }
    walk->next = behind(doc, at);
    return true;
}

bool json_next(const struct json *container, struct json_walk *walk, struct json *item)
{
    return step(container, walk, item, NULL);
}

struct json json_member(const struct json *object, const char *key)
{
    struct json item;
    struct json_walk walk = {0};
    if (json_present(object) && token_of(object)->type != JSMN_OBJECT)
        json_fail(object, "expected an object, found %s", kind_of(object));
    while (step(object, &walk, &item, key))
        if (item.key && strcmp(item.key, key) == 0)
            return item;
    return (struct json){.doc = object->doc, .token = -1, .parent = object, .key = key};
}

static struct json typed(const struct json *object, const char *key, jsmntype_t type,
                         const char *name)
{
    struct json value = json_member(object, key);
    if (json_present(&value) && token_of(&value)->type != type) {
        json_fail(&value, "expected %s, found %s", name, kind_of(&value));
        value.token = -1;
    }
    return value;
}

struct json json_object(const struct json *object, const char *key)
{
    return typed(object, key, JSMN_OBJECT, "an object");
}

struct json json_array(const struct json *object, const char *key)
{
    return typed(object, key, JSMN_ARRAY, "an array");
}

static void need(const struct json *value, const char *name)
{
    if (!json_present(value))
        json_fail(value, "missing (%s)", name);
}

struct json json_need_object(const struct json *object, const char *key)
{
    struct json value = json_object(object, key);
    need(&value, "an object");
    return value;
}

static int hex4(const char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i] | 0x20;
        value = value * 16 + (c >= 'a' ? c - 'a' + 10 : at[i] - '0');
    }
    return value;
}

static char *put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    *out++ = (char)(lead[more] | code >> (6 * more));
    while (more--)
        *out++ = (char)(0x80 | (code >> (6 * more) & 0x3f));
    return out;
}

// Decodes the escape at `in` (behind the backslash); jsmn has checked its form. Moves *in behind
// it.
static unsigned escape(const char **in, const char *end)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char c = *(*in)++;
    if (c != 'u')
        return (unsigned char)values[strchr(names, c) - names];
    unsigned code = (unsigned)hex4(*in);
    *in += 4;
    if (code >= 0xd800 && code < 0xdc00 && end - *in >= 6 && (*in)[0] == '\\' && (*in)[1] == 'u') {
        code = 0x10000 + ((code - 0xd800) << 10) + (((unsigned)hex4(*in + 2) - 0xdc00) & 0x3ff);
        *in += 6;
    }
    return code;
}

const char *json_as_text(const struct json *value)
{
    const jsmntok_t *token = token_of(value);
    if (token->type != JSMN_STRING) {
        json_fail(value, "expected a string, found %s", kind_of(value));
        return "";
    }
    const char *in = value->doc->text + token->start, *end = value->doc->text + token->end;
    char *text = alloc((size_t)(end - in) + 1), *out = text;
    while (in < end) {
        unsigned code = (unsigned char)*in++;
        if (code == '\\')
            out = put_utf8(out, code = escape(&in, end));
        else
            *out++ = (char)code;
        if (!code) {
            json_fail(value, "a string with a NUL in it");
            return "";
        }
    }
    *out = '\0';
    return text;
}

const char *json_text(const struct json *object, const char *key, const char *otherwise)
{
    struct json value = json_member(object, key);
    return json_present(&value) ? json_as_text(&value) : otherwise;
}

const char *json_need_text(const struct json *object, const char *key)
{
    struct json value = json_member(object, key);
    need(&value, "a string");
    return json_present(&value) ? json_as_text(&value) : "";
}

int64_t json_as_int(const struct json *value, int64_t min, int64_t max)
{
    if (strcmp(kind_of(value), "a number") != 0) {
        json_fail(value, "expected a number, found %s", kind_of(value));
        return min;
    }
    const jsmntok_t *token = token_of(value);
    char *text = copy_text(value->doc->text + token->start, (size_t)(token->end - token->start));
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*end)
        json_fail(value, "expected a whole number, found %s", text);
    else if (errno || number < min || number > max)
        json_fail(value, "%s is out of range (%lld to %lld)", text, (long long)min, (long long)max);
    else
        return number;
    return min;
}

int64_t json_int(const struct json *object, const char *key, int64_t otherwise, int64_t min,
                 int64_t max)
{
    struct json value = json_member(object, key);
    return json_present(&value) ? json_as_int(&value, min, max) : otherwise;
}

int json_count(const struct json *container)
{
    return json_present(container) ? token_of(container)->size : 0;
}

int64_t json_need_int(const struct json *object, const char *key, int64_t min, int64_t max)
{
    struct json value = json_member(object, key);
    need(&value, "a number");
    return json_int(object, key, min, min, max);
}

bool json_bool(const struct json *object, const char *key, bool otherwise)
{
    struct json value = json_member(object, key);
    if (!json_present(&value))
        return otherwise;
    if (strcmp(kind_of(&value), "a boolean") != 0) {
        json_fail(&value, "expected a boolean, found %s", kind_of(&value));
        return otherwise;
    }
    return value.doc->text[token_of(&value)->start] == 't';
}

struct list_of_text json_texts(const struct json *object, const char *key)
{
    struct list_of_text list = {0};
    struct json array = typed(object, key, JSMN_ARRAY, "an array of strings"), item;
    struct json_walk walk = {0};
    while (json_next(&array, &walk, &item))
        list_add(&list, json_as_text(&item));
    return list;
}

char *json_quote(const char *text)
{
    struct buffer buffer = {0};
    buffer_add(&buffer, "\"", 1);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20)
            buffer_printf(&buffer, "\\u%04x", c);
        else
            buffer_printf(&buffer, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    }
    buffer_add(&buffer, "\"", 1);
    return buffer.data;
}
