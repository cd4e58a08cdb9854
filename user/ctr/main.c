// ctr: an OCI container runtime. The commands and their options.
#include "user/lib/oci/config.h"
#include "user/ctr/container.h"
#include "user/ctr/image.h"
#include "user/ctr/sys.h"
#include "user/ctr/tty.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static const char usage[] =
    "ctr run [OPTIONS] IMAGE[:TAG] [CMD...]         run a container from an OCI image layout\n"
    "ctr run [OPTIONS] --bundle DIR [ID]            or from a bundle with config.json\n"
    "ctr create ...                                 the same, but the program waits for start\n"
    "ctr start ID\n"
    "ctr state ID                                   its state as JSON\n"
    "ctr kill [--all] ID [SIGNAL]                   SIGTERM if none is given\n"
    "ctr delete [--force] ID...                     stopped ones only, unless forced\n"
    "ctr exec [-e NAME=VALUE] [-w DIR] ID CMD...    run another program in it\n"
    "ctr ps                                         list containers\n"
    "ctr images                                     list images in $CTR_IMAGES (/lib/images)\n"
    "\n"
    "options of run and create:\n"
    "  --name ID            --rm (delete it at its end)    -d, --detach\n"
    "  -t, --tty            -i, --interactive (always so)  --hostname NAME\n"
    "  --memory SIZE[k|m|g] --cpus N (of one CPU: 0.25)    --cpu-weight N (1-10000)  --pids N\n"
    "  -e, --env NAME=VALUE -v, --volume FROM:TO[:ro]      -w, --workdir DIR  -u, --user "
    "USER[:GROUP]\n"
    "  --device PATH        --cap-add NAME  --cap-drop NAME  --read-only\n";

enum option_kind { FLAG, TEXT, LIST, SIZE, NUMBER, CPUS };

static const struct option {
    char letter;
    const char *name;
    enum option_kind kind;
    size_t offset; // in struct run_options
    bool image_only;
} option_table[] = {
    {0, "--name", TEXT, offsetof(struct run_options, name), false},
    {'b', "--bundle", TEXT, offsetof(struct run_options, bundle), false},
    {0, "--rm", FLAG, offsetof(struct run_options, remove), false},
    {'d', "--detach", FLAG, offsetof(struct run_options, detach), false},
    {'t', "--tty", FLAG, offsetof(struct run_options, terminal), true},
    {'i', "--interactive", FLAG, offsetof(struct run_options, interactive), false},
    {0, "--force", FLAG, offsetof(struct run_options, force), false},
    {'a', "--all", FLAG, offsetof(struct run_options, all), false},
    {0, "--hostname", TEXT, offsetof(struct run_options, hostname), true},
    {'m', "--memory", SIZE, offsetof(struct run_options, memory), true},
    {0, "--cpus", CPUS, offsetof(struct run_options, cpu_quota), true},
    {0, "--cpu-weight", NUMBER, offsetof(struct run_options, cpu_weight), true},
    {0, "--pids", NUMBER, offsetof(struct run_options, pids), true},
    {'e', "--env", LIST, offsetof(struct run_options, env), true},
    {'v', "--volume", LIST, offsetof(struct run_options, volumes), true},
    {'w', "--workdir", TEXT, offsetof(struct run_options, working_dir), true},
    {'u', "--user", TEXT, offsetof(struct run_options, user), true},
    {0, "--device", LIST, offsetof(struct run_options, devices), true},
    {0, "--cap-add", LIST, offsetof(struct run_options, cap_add), true},
    {0, "--cap-drop", LIST, offsetof(struct run_options, cap_drop), true},
    {0, "--read-only", FLAG, offsetof(struct run_options, read_only), true},
};
#define OPTION_COUNT (sizeof option_table / sizeof *option_table)

static const struct option *find_option(const char *text)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &option_table[i];
        size_t length = strlen(option->name);
        if (strncmp(text, option->name, length) == 0 && (!text[length] || text[length] == '='))
            return option;
        if (text[1] == option->letter && option->letter && !text[2])
            return option;
    }
    return NULL;
}

static int set_option(struct run_options *options, const struct option *option, const char *value)
{
    void *field = (char *)options + option->offset;
    char *end;
    switch (option->kind) {
    case FLAG:
        *(bool *)field = true;
        return 0;
    case TEXT:
        *(const char **)field = value;
        return 0;
    case LIST:
        list_add(field, value);
        return 0;
    case SIZE:
        return parse_size(value, field) ? 0 : fail("%s %s: not a size", option->name, value);
    case NUMBER:
        *(int64_t *)field = strtoll(value, &end, 10);
        return *value && !*end && *(int64_t *)field > 0
                   ? 0
                   : fail("%s %s: not a number above 0", option->name, value);
    case CPUS:
        *(int64_t *)field = (int64_t)(strtod(value, &end) * 100000 + 0.5);
        return *value && !*end && *(int64_t *)field >= 1000
                   ? 0
                   : fail("%s %s: not a number of CPUs, 0.01 at least", option->name, value);
    }
    return -1;
}

// Reads options up to the first other word: how many words they are, or -1.
static int parse_options(struct run_options *options, char **argv, bool *image_only)
{
    int i = 0;
    for (; argv[i] && argv[i][0] == '-' && argv[i][1]; i++) {
        if (strcmp(argv[i], "--") == 0)
            return i + 1;
        if (strcmp(argv[i], "-it") == 0 || strcmp(argv[i], "-ti") == 0) {
            options->terminal = options->interactive = *image_only = true;
            continue;
        }
        const struct option *option = find_option(argv[i]);
        if (!option)
            return fail("%s: no such option; see ctr help", argv[i]);
        const char *value = strchr(argv[i], '=');
        value = value && argv[i][1] == '-' ? value + 1 : NULL;
        if (option->kind != FLAG && !value && !(value = argv[++i]))
            return fail("%s: needs a value", option->name);
        if (set_option(options, option, value))
            return -1;
        *image_only |= option->image_only;
    }
    return i;
}

static const char *make_name(void)
{
    unsigned char bytes[6] = {0};
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, bytes, sizeof bytes) < 0)
        bytes[0] = (unsigned char)getpid();
    close(fd);
    return format_text("%02x%02x%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                       bytes[5]);
}

// The words behind the options of run and create.
static int take_words(struct run_options *options, char **words, bool image_only)
{
    if (options->bundle) {
        if (image_only)
            return fail(
                "with --bundle, config.json says how it runs: only --name, --rm and -d go with it");
        if (words[0] && !options->name)
            options->name = *words++;
        if (words[0])
            return fail("%s: with --bundle, config.json names the command", words[0]);
    } else if (!words[0]) {
        return fail("needs an image or --bundle DIR; see ctr help");
    } else {
        options->image = *words++;
        while (*words)
            list_add(&options->args, *words++);
    }
    if (!options->name)
        options->name = make_name();
    return 0;
}

static int watched_pid;

// A signal to ctr is for the program; who insists gets an end.
static void pass_on(int signal_number)
{
    static int times;
    if (times++ && (signal_number == SIGINT || signal_number == SIGTERM))
        signal_number = SIGKILL;
    kill(watched_pid, signal_number);
}

static int wait_for(struct container *container)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    int wait_status;
    watched_pid = container->pid;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], pass_on);
    if (container->master >= 0)
        tty_relay(container->master);
    while (waitpid(container->pid, &wait_status, 0) < 0)
        if (errno != EINTR)
            return fail_errno("wait");
    return exit_status(wait_status);
}

static int run(struct run_options *options, bool start)
{
    struct container container;
    int status;
    if (container_create(&container, options, &status)) {
        fprintf(stderr, "ctr: %s\n", error_text);
        return status;
    }
    if (!start)
        return 0;
    if (container_start(options->name))
        return -1;
    if (options->detach) {
        puts(options->name);
        return 0;
    }
    status = wait_for(&container);
    if (options->remove && status >= 0 && container_delete(options->name, true))
        fprintf(stderr, "ctr: %s\n", error_text);
    return status;
}

static int run_command(struct run_options *options, char **words, bool image_only)
{
    return take_words(options, words, image_only) ? -1 : run(options, true);
}

static int create_command(struct run_options *options, char **words, bool image_only)
{
    options->detach = true;
    return take_words(options, words, image_only) ? -1 : run(options, false);
}

static int start_command(struct run_options *options, char **words, bool image_only)
{
    return container_start(words[0]);
}

static int state_command(struct run_options *options, char **words, bool image_only)
{
    struct state state;
    if (state_read(&state, words[0]))
        return -1;
    state_print(&state);
    return 0;
}

static int signal_number(const char *name)
{
    struct list_of_text names =
        list_of_words("0 HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM "
                      "STKFLT CHLD CONT STOP "
                      "TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS");
    char *end;
    long number = strtol(name, &end, 10);
    if (*name && !*end && number > 0 && number < 65)
        return (int)number;
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < names.count; i++)
        if (strcasecmp(name, names.items[i]) == 0)
            return i;
    return fail("%s: no such signal", name);
}

static int kill_command(struct run_options *options, char **words, bool image_only)
{
    int number = words[1] ? signal_number(words[1]) : SIGTERM;
    return number < 0 ? -1 : container_kill(words[0], number, options->all);
}

static int delete_command(struct run_options *options, char **words, bool image_only)
{
    for (; *words; words++)
        if (container_delete(*words, options->force))
            return -1;
    return 0;
}

static int exec_command(struct run_options *options, char **words, bool image_only)
{
    int status = 125;
    for (int i = 1; words[i]; i++)
        list_add(&options->args, words[i]);
    return container_exec(words[0], options, &status) ? -1 : status;
}

static int ps_command(struct run_options *options, char **words, bool image_only)
{
    struct list_of_text ids = {0};
    struct state state;
    if (state_list(&ids))
        return -1;
    printf("%-16s %6s  %-8s %-20s %s\n", "ID", "PID", "STATUS", "IMAGE", "COMMAND");
    for (int i = 0; i < ids.count; i++)
        if (state_read(&state, ids.items[i]) == 0)
            printf("%-16s %6d  %-8s %-20s %s\n", state.id, state.pid, state.status,
                   *state.image ? state.image : state.bundle, state.command);
    return 0;
}

static void print_image(const char *directory, const char *name)
{
    struct list_of_text tags = {0};
    if (image_tags(directory, &tags)) {
        fprintf(stderr, "ctr: %s\n", error_text);
        return;
    }
    for (int i = 0; i < tags.count; i++) {
        struct image image;
        int64_t size = 0;
        if (image_open(&image, format_text("%s:%s", directory, tags.items[i]))) {
            fprintf(stderr, "ctr: %s\n", error_text);
            continue;
        }
        for (int layer = 0; layer < image.layer_count; layer++)
            size += image.layers[layer].size;
        printf("%-20s %-12s %.12s %7d %8lldk\n", name, tags.items[i], image.digest + 7,
               image.layer_count, (long long)size >> 10);
    }
}

static int images_command(struct run_options *options, char **words, bool image_only)
{
    struct dirent *entry;
    DIR *dir = opendir(images_directory());
    if (!dir)
        return fail_errno("%s", images_directory());
    printf("%-20s %-12s %-12s %7s %9s\n", "NAME", "TAG", "DIGEST", "LAYERS", "SIZE");
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            print_image(format_text("%s/%s", images_directory(), entry->d_name), entry->d_name);
    closedir(dir);
    return 0;
}

static const struct command {
    const char *name;
    int (*run)(struct run_options *options, char **words, bool image_only);
    int least, most; // words behind its options
    bool protect;    // makes or enters a container
} commands[] = {
    {"run", run_command, 0, 1 << 20, true},   {"create", create_command, 0, 1 << 20, true},
    {"start", start_command, 1, 1, false},    {"state", state_command, 1, 1, false},
    {"kill", kill_command, 1, 2, false},      {"delete", delete_command, 1, 1 << 20, false},
    {"exec", exec_command, 2, 1 << 20, true}, {"ps", ps_command, 0, 0, false},
    {"images", images_command, 0, 0, false},
};

static int run_main(const struct command *command, char **argv)
{
    bool image_only = false;
    struct run_options options = {
        .memory = NO_LIMIT, .pids = NO_LIMIT, .cpu_quota = NO_LIMIT, .cpu_weight = NO_LIMIT};
    int used = parse_options(&options, argv + 2, &image_only), words = 0;
    if (used < 0)
        return -1;
    while (argv[2 + used + words])
        words++;
    if (words < command->least || words > command->most)
        return fail("%s: wrong number of arguments; see ctr help", command->name);
    if (command->protect && protect_self(argv))
        return -1;
    umask(022);
    return command->run(&options, argv + 2 + used, image_only);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        fputs(usage, argc > 1 ? stdout : stderr);
        return argc > 1 ? 0 : 1;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(name, commands[i].name) != 0)
            continue;
        int status = run_main(&commands[i], argv);
        if (status < 0)
            fprintf(stderr, "ctr: %s\n", error_text);
        return status < 0 ? (commands[i].protect ? 125 : 1) : status;
    }
    fprintf(stderr, "ctr: no command \"%s\"; see ctr help\n", name);
    return 1;
}
