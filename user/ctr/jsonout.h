// Writing JSON: values in order, commas and nesting kept right by the writer. Pure.
#pragma once
#include "user/ctr/text.h"

struct json_out {
    struct buffer buffer;
    int depth;
    bool comma; // the next value needs one in front
};

// `key` is NULL inside an array and for the outermost value.
void out_open(struct json_out *out, const char *key, char bracket); // '{' or '['
void out_close(struct json_out *out, char bracket);                 // '}' or ']'
void out_text(struct json_out *out, const char *key, const char *text);
void out_int(struct json_out *out, const char *key, int64_t value);
void out_bool(struct json_out *out, const char *key, bool value);
void out_texts(struct json_out *out, const char *key, char *const *texts, int count);
