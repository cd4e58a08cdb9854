#include "user/ctr/jsonout.h"
#include <inttypes.h>
#include <string.h>

static void put_string(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, "\"", 1);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            buffer_printf(buffer, "\\%c", c);
        else if (c < 0x20)
            buffer_printf(buffer, "\\u%04x", c);
        else
            buffer_add(buffer, text, 1);
    }
    buffer_add(buffer, "\"", 1);
}

static void new_line(struct json_out *out)
{
    buffer_printf(&out->buffer, "\n%*s", 2 * out->depth, "");
}

static void lead_in(struct json_out *out, const char *key)
{
    if (out->comma)
        buffer_add(&out->buffer, ",", 1);
    if (out->depth)
        new_line(out);
    if (key) {
        put_string(&out->buffer, key);
        buffer_add(&out->buffer, ": ", 2);
    }
    out->comma = true;
}

void out_open(struct json_out *out, const char *key, char bracket)
{
    lead_in(out, key);
    buffer_add(&out->buffer, &bracket, 1);
    out->depth++;
    out->comma = false;
}

void out_close(struct json_out *out, char bracket)
{
    out->depth--;
    if (out->comma)
        new_line(out);
    buffer_add(&out->buffer, &bracket, 1);
    out->comma = true;
    if (!out->depth)
        buffer_add(&out->buffer, "\n", 1);
}

void out_text(struct json_out *out, const char *key, const char *text)
{
    lead_in(out, key);
    put_string(&out->buffer, text);
}

void out_int(struct json_out *out, const char *key, int64_t value)
{
    lead_in(out, key);
    buffer_printf(&out->buffer, "%" PRId64, value);
}

void out_bool(struct json_out *out, const char *key, bool value)
{
    lead_in(out, key);
    buffer_printf(&out->buffer, value ? "true" : "false");
}

void out_texts(struct json_out *out, const char *key, char *const *texts, int count)
{
    out_open(out, key, '[');
    for (int i = 0; i < count; i++)
        out_text(out, NULL, texts[i]);
    out_close(out, ']');
}
