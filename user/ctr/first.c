#include "user/ctr/first.h"
#include "user/ctr/environment.h"
#include "user/ctr/program.h"
#include "user/ctr/sys.h"
#include <fcntl.h>
#include <sys/prctl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

bool namespace_supported(int kind)
{
    return access(format_text("/proc/self/ns/%s", namespace_kinds[kind].proc_name), F_OK) == 0;
}

int namespace_join(int kind, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, namespace_kinds[kind].flag))
        return fail_errno("%s namespace %s", namespace_kinds[kind].oci_name, path);
    close(fd);
    return 0;
}

static int enter_namespaces(const struct config *config)
{
    const struct namespace_config *cgroup = &config->namespaces[NS_CGROUP];
    for (int kind = 0; kind < NS_COUNT; kind++) {
        const char *path = config->namespaces[kind].path;
        if (path && kind != NS_PID && namespace_join(kind, path))
            return -1;
    }
    if (config->namespaces[NS_USER].wanted && (setresgid(0, 0, 0) || setresuid(0, 0, 0)))
        return fail_errno("root of the user namespace");
    // Only now, in its cgroup, does that become the root of what it sees.
    if (cgroup->wanted && !cgroup->path && unshare(namespace_kinds[NS_CGROUP].flag))
        return fail_errno("cgroup namespace");
    if (config->hostname && sethostname(config->hostname, strlen(config->hostname)))
        return fail_errno("hostname");
    return 0;
}

static void reset_signals(void)
{
    sigset_t none;
    for (int signal_number = 1; signal_number < 32; signal_number++)
        signal(signal_number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static const char *build(struct first *first, int *status)
{
    const struct config *config = &first->bundle->config;
    char byte;
    struct environment env = {
        .config = config,
        .bundle = first->bundle->directory,
        .rootfs = first->bundle->rootfs,
        .devices = first->devices,
        .console = first->tty->slave >= 0 ? first->tty->name : NULL,
    };
    const int keep[] = {first->go, first->report, first->fifo, first->tty->slave, -1};
    prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
    if (close_descriptors(keep))
        return NULL;
    if (read(first->go, &byte, 1) != 1)
        _exit(125); // the parent has failed and says so itself
    close(first->go);
    reset_signals();
    setsid();
    if (first->tty->slave >= 0 && tty_adopt(first->tty->slave))
        return NULL;
    if (enter_namespaces(config) || environment_enter(&env) || program_prepare(&config->process))
        return NULL;
    return program_find(&config->process, status);
}

_Noreturn void first_run(struct first *first)
{
    const struct process_config *process = &first->bundle->config.process;
    int status = 125;
    char byte = 0;
    const char *program = build(first, &status);
    if (!program) {
        byte = (char)status;
        if (write(first->report, &byte, 1) == 1)
            status |= write(first->report, error_text, strlen(error_text)) < 0;
        _exit(status);
    }
    if (write(first->report, &byte, 1) != 1)
        _exit(125);
    close(first->report);
    if (read(first->fifo, &byte, 1) != 1)
        _exit(125);
    close(first->fifo);
    program_run(process, program);
}
