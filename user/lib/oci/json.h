// Reading JSON (RFC 8259) as a typed tree that knows where it is: every complaint names the file
// and the path in it, as in `config.json: process.args: expected an array of strings, found a
// number`. Pure; the tokens are jsmn's.
//
// Errors stick: the first one stays in error_text and in doc->failed, later reads give defaults. So
// a reader of a whole document asks for everything and looks at doc->failed once, at the end.
#pragma once
#include "user/lib/oci/text.h"

struct json_doc {
    const char *file; // for messages
    const char *text;
    void *tokens; // jsmntok_t
    int count;
    bool failed;
};

struct json { // a value, or the place where one is missing (token < 0)
    struct json_doc *doc;
    int token;
    const struct json *parent; // must outlive this one
    const char *key;           // in the parent, or NULL
    int index;                 // in the parent, if that is an array
};

// Parses `length` bytes of text, which must stay; 0 or -1.
int json_parse(struct json_doc *doc, const char *file, const char *text, size_t length);
struct json json_root(struct json_doc *doc); // an object, else the document has failed

// "process.args[1]"
char *json_path(const struct json *value);
// Records `path: message` as the document's failure, if it is the first; always -1.
int json_fail(const struct json *at, const char *format, ...) __attribute__((format(printf, 2, 3)));

// A value that is missing or null counts as absent everywhere.
bool json_present(const struct json *value);

// Member `key` of an object, of any type, maybe absent.
struct json json_member(const struct json *object, const char *key);
// The same, which must be an object / array where present; or must be there too.
struct json json_object(const struct json *object, const char *key);
struct json json_array(const struct json *object, const char *key);
struct json json_need_object(const struct json *object, const char *key);

// Walks an object's members or an array's items: start with {0}, false at the end.
struct json_walk {
    int next, index;
};
bool json_next(const struct json *container, struct json_walk *walk, struct json *item);

// Scalars as members: the default where absent. Texts are in the arena and have no NUL inside.
const char *json_text(const struct json *object, const char *key, const char *otherwise);
const char *json_need_text(const struct json *object, const char *key);
int64_t json_int(const struct json *object, const char *key, int64_t otherwise, int64_t min,
                 int64_t max);
int64_t json_need_int(const struct json *object, const char *key, int64_t min, int64_t max);
bool json_bool(const struct json *object, const char *key, bool otherwise);
// An array of strings; empty where absent.
struct list_of_text json_texts(const struct json *object, const char *key);
// Text as a JSON string, quotes around.
char *json_quote(const char *text);
// The value itself as text, as a number.
const char *json_as_text(const struct json *value);
int64_t json_as_int(const struct json *value, int64_t min, int64_t max); // min on failure
// Items of an array (members of an object), 0 if it is absent.
int json_count(const struct json *container);
