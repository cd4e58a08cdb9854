// with: user/lib/oci/text.c user/lib/oci/json.c user/lib/oci/config.c user/lib/oci/spec.c
// with: user/lib/oci/config_process.c user/lib/oci/config_mounts.c user/lib/oci/state_json.c
// Reading config.json and JSON in general: what is there is found, what is wrong is named by path.
#include <sys/mount.h>
#include "tests/unit/oci_expect.h"
#include "user/lib/oci/config.h"
#include "user/lib/oci/json.h"
#include "user/lib/oci/spec.h"
#include "user/lib/oci/state_json.h"

static const char good[] =
    "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\", \"readonly\": true}, "
    "\"hostname\": \"h\","
    " \"process\": {\"terminal\": false, \"user\": {\"uid\": 5, \"gid\": 6, \"additionalGids\": "
    "[7, 8]},"
    "  \"args\": [\"/bin/sh\", \"-c\", \"a\\n\\\"b\\\" \\u00e9\\ud83d\\ude00\"], \"env\": "
    "[\"A=b\"], \"cwd\": \"/\","
    "  \"capabilities\": {\"bounding\": [\"CAP_KILL\", \"CAP_CHOWN\"], \"ambient\": []},"
    "  \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"soft\": 10, \"hard\": 20}], "
    "\"noNewPrivileges\": true},"
    " \"mounts\": [{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},"
    "  {\"destination\": \"/d\", \"source\": \"/s\", \"options\": [\"rbind\", \"ro\", \"nodev\", "
    "\"slave\"]},"
    "  {\"destination\": \"/t\", \"type\": \"tmpfs\", \"source\": \"t\", \"options\": "
    "[\"size=1k\", \"mode=755\"]}],"
    " \"linux\": {\"namespaces\": [{\"type\": \"mount\"}, {\"type\": \"uts\"}, {\"type\": \"pid\", "
    "\"path\": \"/p\"}],"
    "  \"resources\": {\"memory\": {\"limit\": 1048576}, \"cpu\": {\"quota\": 25000, \"period\": "
    "100000},"
    "   \"pids\": {\"limit\": -1}, \"unified\": {\"memory.high\": \"max\"}},"
    "  \"devices\": [{\"path\": \"/dev/x\", \"type\": \"c\", \"major\": 10, \"minor\": 232, "
    "\"fileMode\": 384}],"
    "  \"cgroupsPath\": \"/a/b\", \"maskedPaths\": [\"/proc/kcore\"]}}";

static struct config config;

static int parse(const char *text)
{
    return config_parse(&config, "config.json", text, strlen(text));
}

// Parses `good` with its first `from` replaced; gives the complaint.
static const char *complaint(const char *from, const char *to)
{
    const char *at = strstr(good, from);
    expect(at != NULL, 1);
    struct buffer text = {0};
    buffer_add(&text, good, (size_t)(at - good));
    buffer_printf(&text, "%s%s", to, at + strlen(from));
    error_text[0] = '\0';
    expect(parse(text.data), -1);
    return error_text;
}

static void a_whole_configuration_is_read(void)
{
    expect(parse(good), 0);
    expect(config.root_readonly, true);
    expect(config.process.uid, 5);
    expect(config.process.group_count, 2);
    expect(config.process.groups[1], 8);
    expect(config.process.args.count, 3);
    expect_text(config.process.args.items[2], "a\n\"b\" \xc3\xa9\xf0\x9f\x98\x80");
    expect(config.process.args.items[3] == NULL, 1);
    expect(config.process.capabilities.bounding, 1 << 5 | 1);
    expect(config.process.rlimits[0].resource, 7);
    expect(config.process.rlimits[0].hard, 20);
    expect(config.mount_count, 3);
    expect(config.mounts[1].flags, MS_BIND | MS_REC | MS_RDONLY | MS_NODEV);
    expect(config.mounts[1].propagation, MS_SLAVE);
    expect_text(config.mounts[2].data, "size=1k,mode=755");
    expect_text(config.mounts[2].json_path, "mounts[2]");
    expect_text(config.namespaces[NS_PID].path, "/p");
    expect(config.namespaces[NS_IPC].wanted, false);
    expect(config.resources.memory_max, 1048576);
    expect(config.resources.pids_max, -1);
    expect(config.resources.cpu_weight, NO_LIMIT);
    expect_text(config.resources.unified.items[1], "max");
    expect(config.devices[0].minor, 232);
    expect(config.devices[0].mode, 0600);
    expect_text(config.cgroups_path, "/a/b");
}

static void complaints_name_file_path_and_types(void)
{
    expect_text(complaint("[\"/bin/sh\", \"-c\", \"a\\n\\\"b\\\" \\u00e9\\ud83d\\ude00\"]", "5"),
                "config.json: process.args: expected an array of strings, found a number");
    expect_text(complaint("\"-c\"", "{}"),
                "config.json: process.args[1]: expected a string, found an object");
    expect_text(complaint("\"cwd\": \"/\",", ""), "config.json: process.cwd: missing (a string)");
    expect_text(complaint("\"cwd\": \"/\"", "\"cwd\": \"x\""),
                "config.json: process.cwd: \"x\" is not an absolute path");
    expect_text(complaint("\"path\": \"rootfs\"", "\"path\": false"),
                "config.json: root.path: expected a string, found a boolean");
    expect_text(complaint("\"readonly\": true", "\"readonly\": \"yes\""),
                "config.json: root.readonly: expected a boolean, found a string");
    expect_text(complaint("\"uid\": 5", "\"uid\": -1"),
                "config.json: process.user.uid: -1 is out of range (0 to 4294967294)");
    expect_text(complaint("\"uid\": 5", "\"uid\": 1.5"),
                "config.json: process.user.uid: expected a whole number, found 1.5");
    expect_text(complaint("CAP_CHOWN", "CAP_NONE"),
                "config.json: process.capabilities.bounding[1]: \"CAP_NONE\" is no capability");
    expect_text(
        complaint("{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"}", "7"),
        "config.json: mounts[0]: expected an object, found a number");
    expect_text(complaint("\"/proc\"", "\"proc\""),
                "config.json: mounts[0].destination: \"proc\" is not an absolute path");
    expect_text(complaint("{\"type\": \"mount\"}, ", ""),
                "config.json: linux.namespaces: a container needs a \"mount\" namespace");
    expect_text(complaint("\"limit\": 1048576", "\"limit\": 9223372036854775808"),
                "config.json: linux.resources.memory.limit: 9223372036854775808 is out of range "
                "(-1 to 9223372036854775807)");
    expect_text(complaint("\"A=b\"", "\"A=\\u0000\""),
                "config.json: process.env[0]: a string with a NUL in it");
    expect_text(complaint("\"linux\"", "\"linus\""), "config.json: linux: missing (an object)");
    expect_text(complaint("1.0.2", "2.0.0"),
                "config.json: ociVersion: \"2.0.0\" is not a version 1 of "
                "the runtime specification");
}

static void what_is_no_json_is_refused(void)
{
    static const char *const bad[] = {
        "",
        "{",
        "[1,2",
        "{\"a\":1}}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":tru}",
        "5",
        "\"text\"",
        "{\"a\":1} {}",
        "{\"a\":}",
        "{\"a\":\"\\x\"}",
        "{\"a\":-}",
        "nul",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error_text[0] = '\0';
        if (parse(bad[i]) == 0)
            printf("accepted: %s\n", bad[i]), failures++;
        expect_in(error_text, "config.json: ");
    }
    error_text[0] = '\0';
    parse("{\n\"a\":\n tru }");
    expect_text(error_text, "config.json: line 3: neither a number nor true, false or null");
}

// Cut anywhere, or with any byte changed, a document is read or refused, but never overrun (the
// sanitizers watch).
static void damaged_documents_do_no_harm(void)
{
    unsigned seed = 1;
    for (size_t length = 0; length < sizeof good - 1; length += 3) {
        char *cut = copy_text(good, length);
        expect(config_parse(&config, "config.json", cut, length), -1);
    }
    for (int round = 0; round < 3000; round++) {
        char *text = copy_text(good, sizeof good - 1);
        for (int i = 0; i < 3; i++)
            text[next_random(&seed) % (sizeof good - 1)] =
                "{}[]\",:\\0u-e"[next_random(&seed) % 12];
        if (parse(text) == 0)
            expect(config.process.args.count > 0, 1);
        if (round % 100 == 0)
            alloc_free_all();
    }
}

static void unsupported_members_are_named(void)
{
    expect(parse("{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},\"process\":{\"args\":[\"x\"]"
                 ",\"cwd\":\"/\"},"
                 "\"hooks\":{},\"linux\":{\"seccomp\":{},\"namespaces\":[{\"type\":\"mount\"}]}}"),
           0);
    expect(config.warnings.count, 2);
    expect_text(config.warnings.items[1], "config.json: linux.seccomp: not supported, ignored");
}

// What is generated for an image is read back with the same meaning, whatever the texts hold.
static void generated_configuration_reads_back(void)
{
    struct image_config image = {.working_dir = "/w", .user = ""};
    struct run_options options = {
        .memory = 4096, .pids = 7, .cpu_quota = NO_LIMIT, .cpu_weight = 50};
    struct device_config device = {.path = "/dev/kvm", .type = 'c', .major = 10, .minor = 232};
    struct spec_facts facts = {.id = "c1", .uid = 3, .gid = 4, .devices = &device};
    list_add(&image.entrypoint, "/bin/\"odd\\\n\x01");
    list_add(&image.cmd, "unused");
    list_add(&image.env, "PATH=/bin");
    list_add(&image.env, "A=1");
    list_add(&options.args, "arg");
    list_add(&options.env, "A=2");
    list_add(&options.volumes, "/a:/b:ro");
    list_add(&options.devices, "/dev/kvm");
    list_add(&options.cap_drop, "ALL");
    list_add(&options.cap_add, "kill");
    char *text = spec_write(&image, &options, &facts);
    expect(text && parse(text) == 0, 1);
    expect_text(config.process.args.items[0], "/bin/\"odd\\\n\x01");
    expect_text(config.process.args.items[1], "arg");
    expect(config.process.args.count, 2);
    expect(config.process.env.count, 2);
    expect_text(config.process.env.items[1], "A=2");
    expect(config.process.capabilities.bounding, 1 << 5);
    expect(config.process.uid, 3);
    expect_text(config.process.cwd, "/w");
    expect_text(config.hostname, "c1");
    expect(config.resources.memory_max, 4096);
    expect(config.resources.pids_max, 7);
    expect(config.resources.cpu_quota, NO_LIMIT);
    expect_text(config.resources.unified.items[1], "50");
    expect_text(config.mounts[config.mount_count - 1].source, "/a");
    expect(config.mounts[config.mount_count - 1].flags & MS_RDONLY, MS_RDONLY);
    expect(config.devices[0].minor, 232);
    list_add(&options.volumes, "relative:/b");
    expect(spec_write(&image, &options, &facts) == NULL, 1);
    expect_in(error_text, "relative:/b");
}

static void users_are_found_in_the_image(void)
{
    static const char passwd[] =
        "root:x:0:0::/:/bin/sh\nu:x:1000:2000::/:/bin/sh\nbad:x:z:1\nshort\n";
    struct spec_facts facts = {0};
    expect(spec_find_user(&facts, "u", passwd, "g:x:30:\n"), 0);
    expect(facts.uid, 1000);
    expect(facts.gid, 2000);
    expect(spec_find_user(&facts, "u:g", passwd, "g:x:30:\n"), 0);
    expect(facts.gid, 30);
    expect(spec_find_user(&facts, "12:34", "", ""), 0);
    expect(facts.gid, 34);
    expect(spec_find_user(&facts, "", passwd, ""), 0);
    expect(facts.uid, 0);
    expect(spec_find_user(&facts, "bad", passwd, ""), -1);
    expect(spec_find_user(&facts, "short", passwd, ""), -1);
    expect(spec_find_user(&facts, "nobody", passwd, ""), -1);
    expect_text(error_text, "no user \"nobody\" in the image");
}

static void state_reads_back(void)
{
    struct state out = {.id = "x",
                        .status = "running",
                        .bundle = "/b \"q\"",
                        .cgroup = "/ctr/x",
                        .image = "i:t",
                        .command = "a b",
                        .pid = 12,
                        .start_time = 99,
                        .created = 5};
    struct state in;
    char *text = state_to_json(&out, true);
    expect(state_from_json(&in, "state.json", text, strlen(text)), 0);
    expect_text(in.bundle, "/b \"q\"");
    expect_text(in.cgroup, "/ctr/x");
    expect(in.pid, 12);
    expect(in.start_time, 99);
    expect(state_from_json(&in, "state.json", "{\"id\":3}", 8), -1);
    expect_text(error_text, "state.json: id: expected a string, found a number");
}

static void sizes_have_units(void)
{
    int64_t bytes;
    expect(parse_size("4096", &bytes) && bytes == 4096, 1);
    expect(parse_size("64k", &bytes) && bytes == 65536, 1);
    expect(parse_size("2M", &bytes) && bytes == 2 << 20, 1);
    expect(parse_size("1g", &bytes) && bytes == 1 << 30, 1);
    expect(parse_size("", &bytes), 0);
    expect(parse_size("m", &bytes), 0);
    expect(parse_size("-1", &bytes), 0);
    expect(parse_size("1mm", &bytes), 0);
    expect(parse_size("9223372036854775807k", &bytes), 0);
}

int main(void)
{
    a_whole_configuration_is_read();
    complaints_name_file_path_and_types();
    what_is_no_json_is_refused();
    damaged_documents_do_no_harm();
    unsupported_members_are_named();
    generated_configuration_reads_back();
    users_are_found_in_the_image();
    state_reads_back();
    sizes_have_units();
    alloc_free_all();
    return failures != 0;
}
