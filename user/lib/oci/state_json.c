#include "user/lib/oci/state_json.h"
#include "user/lib/oci/json.h"

int state_from_json(struct state *state, const char *file, const char *text, size_t length)
{
    struct json_doc doc;
    if (json_parse(&doc, file, text, length))
        return -1;
    struct json root = json_root(&doc);
    *state = (struct state){
        .id = json_need_text(&root, "id"),
        .status = json_need_text(&root, "status"),
        .pid = (int)json_int(&root, "pid", 0, 0, INT32_MAX),
        .bundle = json_need_text(&root, "bundle"),
        .cgroup = json_text(&root, "cgroup", ""),
        .image = json_text(&root, "image", ""),
        .command = json_text(&root, "command", ""),
        .start_time = json_int(&root, "startTime", -1, -1, INT64_MAX),
        .created = json_int(&root, "created", 0, 0, INT64_MAX),
    };
    return doc.failed ? -1 : 0;
}

char *state_to_json(const struct state *state, bool all)
{
    struct buffer out = {0};
    buffer_printf(&out,
                  "{\n  \"ociVersion\": \"1.0.2\",\n  \"id\": \"%s\",\n  \"status\": \"%s\",\n",
                  state->id, state->status);
    if (state->pid)
        buffer_printf(&out, "  \"pid\": %d,\n", state->pid);
    if (all) {
        buffer_printf(&out, "  \"cgroup\": %s,\n  \"image\": %s,\n  \"command\": %s,\n",
                      json_quote(state->cgroup), json_quote(state->image),
                      json_quote(state->command));
        buffer_printf(&out, "  \"startTime\": %lld,\n  \"created\": %lld,\n",
                      (long long)state->start_time, (long long)state->created);
    }
    buffer_printf(&out, "  \"bundle\": %s\n}\n", json_quote(state->bundle));
    return out.data;
}
