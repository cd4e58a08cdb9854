// Creating: the parent (ctr) makes cgroup, devices and bundle, clones the first process into its
// namespaces, puts it into its cgroup and tells it to go on; that one builds the environment and
// reports through a pipe. When the report is good, the first process waits for a byte in exec.fifo,
// which `ctr start` writes.
#include "user/ctr/container.h"
#include "user/ctr/bundle.h"
#include "user/ctr/cgroup.h"
#include "user/ctr/environment.h"
#include "user/ctr/first.h"
#include "user/ctr/sys.h"
#include "user/ctr/tty.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

int protect_self(char **argv)
{
    char program[4096];
    const char *copy = format_text("%s/self", state_root());
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0)
        return fail_errno("/proc/self/exe");
    program[length] = '\0';
    if (strcmp(program, copy) == 0) {
        prctl(PR_SET_NAME, "ctr", 0L, 0L, 0L); // not "self"
        return 0;
    }
    if (make_dir(state_root(), 0711))
        return -1;
    int fd = open(copy, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
    if (fd >= 0)
        close(fd);
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) ||
        mount(program, copy, NULL, MS_BIND, NULL) ||
        mount(NULL, copy, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
        return fail_errno("a read-only mount of %s on %s", program, copy);
    execve(copy, argv, environ);
    return fail_errno("%s", copy);
}

static int write_mapping(int pid, const char *file, const struct id_mapping *mapping)
{
    const char *path = format_text("/proc/%d/%s", pid, file);
    const char *line = format_text("%u %u %u", mapping->inside, mapping->outside, mapping->size);
    return write_file(path, line) ? fail_errno("%s: \"%s\"", path, line) : 0;
}

// What only the parent may do for the child that waits; then lets it go on.
static int admit(const struct bundle *bundle, const char *cgroup, int pid, int go)
{
    const struct config *config = &bundle->config;
    const struct namespace_config *user = &config->namespaces[NS_USER];
    if (cgroup_add(cgroup, pid))
        return -1;
    if (user->wanted && !user->path &&
        (write_mapping(pid, "uid_map", &config->uid_mapping) ||
         write_mapping(pid, "gid_map", &config->gid_mapping)))
        return -1;
    return write(go, "g", 1) == 1 ? 0 : fail_errno("the first process");
}

// Reads the child's report: nothing if all is well, else an exit status as a byte and a message.
static int read_report(int report, int *status)
{
    char text[sizeof error_text];
    ssize_t got, length = 0;
    while ((got = read(report, text + length, sizeof text - 1 - (size_t)length)) > 0)
        length += got;
    text[length] = '\0';
    if (length == 1 && text[0] == 0)
        return 0;
    if (length > 1)
        *status = (unsigned char)text[0];
    return length > 1 ? fail("%s", text + 1) : fail("the container's first process died early");
}

static int clone_first(struct first *first)
{
    const struct config *config = &first->bundle->config;
    const struct namespace_config *pid_ns = &config->namespaces[NS_PID];
    unsigned long flags = 0;
    for (int kind = 0; kind < NS_COUNT; kind++)
        if (config->namespaces[kind].wanted && !config->namespaces[kind].path &&
            kind != NS_CGROUP && namespace_supported(kind))
            flags |= (unsigned long)namespace_kinds[kind].flag;
    if (pid_ns->path && namespace_join(NS_PID, pid_ns->path)) // takes effect on the child
        return -1;
    long pid = sys_clone(flags);
    if (pid < 0)
        return fail_errno("clone");
    if (pid == 0)
        first_run(first);
    return (int)pid;
}

static int make_first(struct container *container, struct bundle *bundle, struct tty *tty,
                      int *status)
{
    int go[2], report[2];
    struct first first = {.bundle = bundle, .tty = tty};
    const char *fifo = format_text("%s/exec.fifo", state_dir(container->state.id));
    if (mkfifo(fifo, 0600) || (first.fifo = open(fifo, O_RDWR | O_CLOEXEC)) < 0)
        return fail_errno("%s", fifo);
    if (pipe2(go, O_CLOEXEC) || pipe2(report, O_CLOEXEC))
        return fail_errno("pipe");
    first.go = go[0];
    first.report = report[1];
    first.devices = format_text("%s/dev", state_dir(container->state.id));
    if (stage_devices(&bundle->config, first.devices))
        return -1;
    container->pid = clone_first(&first);
    close(go[0]);
    close(report[1]);
    close(first.fifo);
    int result =
        container->pid < 0 ? -1 : admit(bundle, container->state.cgroup, container->pid, go[1]);
    close(go[1]);
    if (!result)
        result = read_report(report[0], status);
    close(report[0]);
    return result;
}

static void fill_state(struct state *state, const struct bundle *bundle)
{
    struct buffer command = {0};
    const struct list_of_text *args = &bundle->config.process.args;
    for (int i = 0; i < args->count; i++)
        buffer_printf(&command, "%s%s", i ? " " : "", args->items[i]);
    state->bundle = bundle->directory;
    state->image = bundle->image;
    state->command = command.data;
    if (bundle->config.cgroups_path)
        state->cgroup = bundle->config.cgroups_path;
}

// What was mounted for the child; it has its own by now.
static void unmount_ours(const char *id)
{
    umount2(format_text("%s/dev", state_dir(id)), MNT_DETACH);
    umount2(format_text("%s/bundle/rootfs", state_dir(id)), MNT_DETACH);
}

// Takes away what a failed create has made; keeps its message.
static void undo(struct container *container)
{
    char *why = copy_text(error_text, strlen(error_text));
    if (container->pid > 0) {
        kill(container->pid, SIGKILL);
        waitpid(container->pid, NULL, 0);
    }
    cgroup_remove(container->state.cgroup);
    unmount_ours(container->state.id);
    remove_tree(state_dir(container->state.id));
    fail("%s", why);
}

static int create_in(struct container *container, const struct run_options *options, int *status)
{
    struct bundle bundle;
    struct tty tty = {.master = -1, .slave = -1};
    const char *id = container->state.id;
    int result =
        options->bundle ? bundle_open(&bundle, options->bundle) : bundle_make(&bundle, id, options);
    if (result)
        return -1;
    fill_state(&container->state, &bundle);
    if (cgroup_make(container->state.cgroup, &bundle.config.resources))
        return -1;
    if (bundle.config.process.terminal && options->detach)
        return fail("process.terminal: only a container that ctr stays with can have a terminal");
    if (state_write(&container->state) || (bundle.config.process.terminal && tty_open(&tty)))
        return -1;
    container->master = tty.master;
    if (make_first(container, &bundle, &tty, status))
        return -1;
    if (tty.slave >= 0)
        close(tty.slave);
    unmount_ours(id);
    container->state.status = "created";
    container->state.pid = container->pid;
    container->state.start_time = process_start_time(container->pid);
    return state_write(&container->state);
}

int container_create(struct container *container, const struct run_options *options, int *status)
{
    *container = (struct container){.master = -1};
    container->state = (struct state){.id = options->name,
                                      .status = "creating",
                                      .bundle = "",
                                      .cgroup = format_text("/ctr/%s", options->name),
                                      .image = "",
                                      .command = "",
                                      .start_time = -1,
                                      .created = time(NULL)};
    *status = 125;
    if (!state_valid_id(options->name))
        return fail("\"%s\" is no container id", options->name);
    if (make_dir(state_root(), 0711))
        return -1;
    if (mkdir(state_dir(options->name), 0711))
        return errno == EEXIST ? fail("container \"%s\" exists already", options->name)
                               : fail_errno("%s", state_dir(options->name));
    if (state_write(&container->state) == 0 && create_in(container, options, status) == 0)
        return 0;
    undo(container);
    return -1;
}

int container_start(const char *id)
{
    struct state state;
    const char *fifo = format_text("%s/exec.fifo", state_dir(id));
    if (state_read(&state, id))
        return -1;
    if (strcmp(state.status, "created") != 0)
        return fail("container \"%s\" is %s, not created", id, state.status);
    int fd = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || unlink(fifo)) // who unlinks it is who starts it
        return fail_errno("container \"%s\" cannot be started", id);
    state.status = "running";
    int result = state_write(&state);
    if (!result && write(fd, "s", 1) != 1)
        result = fail_errno("container \"%s\" cannot be started", id);
    close(fd);
    return result;
}

int container_kill(const char *id, int signal, bool all)
{
    struct state state;
    if (state_read(&state, id))
        return -1;
    if (!state.pid)
        return fail("container \"%s\" is %s", id, state.status);
    if (all && signal == SIGKILL)
        return cgroup_kill(state.cgroup);
    return kill(state.pid, signal) ? fail_errno("kill %d", state.pid) : 0;
}

int container_delete(const char *id, bool force)
{
    struct state state;
    if (state_read(&state, id))
        return -1;
    bool stopped = strcmp(state.status, "stopped") == 0;
    if (!stopped && !force)
        return fail("container \"%s\" is %s: stop it first, or delete --force", id, state.status);
    if (cgroup_populated(state.cgroup) && cgroup_kill(state.cgroup))
        return -1;
    if (cgroup_remove(state.cgroup))
        return -1;
    return remove_tree(state_dir(id));
}
